"""The sockets that a service manager has opened and passed to this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def name_sockets(environment: MutableMapping[str, str]) -> None:
    """Name the sockets that a service manager has passed without names, which Twisted drops.

    They are ``unknown`` then, as sd_listen_fds_with_names(3) says. To be called before Twisted
    looks for plugins for the first time.
    """
    count = environment.get("LISTEN_FDS", "")
    if count.isdecimal() and "LISTEN_FDNAMES" not in environment:
        environment["LISTEN_FDNAMES"] = ":".join(["unknown"] * int(count))
