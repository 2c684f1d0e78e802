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
    # macOS has no real, effective and saved user that are set together.
    if uid is None or os.geteuid() != 0 or not hasattr(os, "setresuid"):
        yield
        return
    user = pwd.getpwuid(uid)
    if gid is None:
        gid = user.pw_gid
    groups, saved_uid, saved_gid = os.getgroups(), os.geteuid(), os.getegid()
    # All of the user's, as `twistd` has it: one of them may be the only way to a file.
    # Groups first: a user without root's rights cannot change them. The real user too, because
    # shells go back to that one. Root stays in the third place, from where it can be taken back.
    os.setgroups(os.getgrouplist(user.pw_name, gid))
    os.setresgid(gid, gid, saved_gid)
    os.setresuid(uid, uid, saved_uid)
    try:
        yield
    finally:
        os.setresuid(saved_uid, saved_uid, saved_uid)
        os.setresgid(saved_gid, saved_gid, saved_gid)
        os.setgroups(groups)
