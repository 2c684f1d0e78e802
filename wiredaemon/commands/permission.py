"""The two permissions, as URLs and descriptors name them."""

from __future__ import annotations

from enum import Enum


class Permission(Enum):
    """The permission that a command needs: reading, or reading and writing."""

    RO = "ro"
    RW = "rw"

    # There is one object for each; Enum's own hashes their names anew each time, in Python.
    __hash__ = object.__hash__

    @property
    def description(self) -> bytes:
        """The word that capability descriptors use."""
        # Descriptors have the words of version 1, URLs those of the API (commands, section 2.1;
        # http, section 3.1).
        return b"pull" if self is Permission.RO else b"push"

    def covers(self, needed: Permission) -> bool:
        """Return whether this permission suffices for a command that needs another."""
        # A read-only command may be run under `rw/` (http, section 5).
        return self is Permission.RW or needed is Permission.RO
