"""Makes files as the user that `twistd --uid` changes to, before it has changed."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def as_user(uid: int | None, gid: int | None) -> Iterator[None]:
    """Let this process, and programs that it starts, make files as a user during the block.

    The data folder is filled before ports below 1024 are opened, which takes root's rights, and is
    written by the daemon that has given them up.

    Args:
        uid: The user's number; None changes nothing, and neither does a process that is not root:
            `twistd` itself says then that it cannot change its user.
        gid: The number of the group; None stands for the user's own.
    """
    if uid is None or os.geteuid() != 0:
        yield
        return
    if gid is None:
        gid = pwd.getpwuid(uid).pw_gid
    before = os.geteuid(), os.getegid(), os.getgroups()
    # Groups first: a user without root's rights cannot change them.
    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])
        os.setgroups(before[2])
