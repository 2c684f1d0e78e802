"""The two permissions, as URLs and descriptors name them."""

from __future__ import annotations

from enum import Enum


class Permission(Enum):
    """What a command does to the repository, and so what its caller must be allowed to do."""

    RO = "ro"
    RW = "rw"

    # There is one object for each; Enum's own hashes their names anew each time, in Python.
    __hash__ = object.__hash__

    @property
    def description(self) -> bytes:
        """The word that capability descriptors use."""
        return b"pull" if self is Permission.RO else b"push"

    def covers(self, needed: Permission) -> bool:
        """Say whether somebody granted this permission may run a command that needs another."""
        return self is Permission.RW or needed is Permission.RO
