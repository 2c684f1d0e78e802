"""Mercurial as an installed library: imported once, the right way, and given types.

The only module that names ``mercurial``; everything else of ``wiredaemon.repository`` takes from
here what it needs. Importing it costs some 0.3 s and 40 MiB, so only the worker program may do so:
the modules that the daemon imports (command declarations, text forms) never import this one.

The library has no type annotations that mypy could use. The protocols below name the part of it
that we call, as we call it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

# Read while mercurial is imported: output for programs, text as UTF-8. A worker inherits both from
# its parent; here they hold for whoever imports this module, and for the hooks it starts.
os.environ["HGPLAIN"] = "1"
os.environ["HGENCODING"] = "utf-8"

from mercurial import (
    bookmarks,
    config,
    encoding,
    error,
    extensions,
    hg,
    initialization,
    streamclone,
    ui,
    util,
    wireprotoserver,
    wireprototypes,
    wireprotov1server,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

initialization.init()
# From 7.2 on, before the first use of commands and hgweb.

__all__ = [
    "BranchHeads",
    "Repository",
    "Ui",
    "bookmarks",
    "config",
    "encoding",
    "error",
    "extensions",
    "from_local",
    "hg",
    "mercurial_version",
    "streamclone",
    "to_local",
    "ui",
    "wireprotoserver",
    "wireprototypes",
    "wireprotov1server",
]


class Ui(Protocol):
    """Configuration and output of one repository."""

    def config(self, section: bytes, name: bytes) -> bytes | None:
        """One value, or its default."""

    def configbool(
        self, section: bytes, name: bytes, *, default: bool = ..., untrusted: bool = ...
    ) -> bool:
        """One value as a boolean."""

    def configlist(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> list[bytes]:
        """One value as a list."""

    def configsource(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> bytes:
        """Where a value was set: ``file:line``, or something that is no file."""

    def hasconfig(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> bool:
        """Whether a value was set anywhere."""

    def setconfig(self, section: bytes, name: bytes, value: bytes, source: bytes) -> None:
        """Set a value over all files."""

    def walkconfig(self, *, untrusted: bool = ...) -> Iterator[tuple[bytes, bytes, bytes]]:
        """All values set: section, name, value."""

    def pushbuffer(self, *, error: bool = ..., subproc: bool = ...) -> None:
        """Begin to collect output, that of hooks too."""

    def popbuffer(self) -> bytes:
        """Stop that and give what was collected."""


class BranchHeads(Protocol):
    """The branches of a view and their heads."""

    def __iter__(self) -> Iterator[bytes]:
        """Branch names, in local encoding."""

    def branchheads(self, branch: bytes, *, closed: bool = ...) -> Sequence[bytes]:
        """Head nodes of a branch, oldest first."""


class Files(Protocol):
    """Files below one folder of a repository."""

    def tryread(self, path: bytes) -> bytes:
        """The content, or nothing when the file does not exist."""


class Repository(Protocol):
    """One repository as seen through one view."""

    ui: Ui
    path: bytes
    """Its ``.hg`` folder."""
    sharedpath: bytes
    """The ``.hg`` folder that holds the store: another one for a shared repository."""
    spath: bytes
    """The store folder."""
    vfs: Files
    """Files below ``path``."""

    def filtered(self, name: bytes) -> Repository:
        """The same repository through another view."""

    def heads(self) -> Sequence[bytes]:
        """Head nodes, highest revision first."""

    def known(self, nodes: Iterable[bytes]) -> Sequence[bool]:
        """Whether the view has each node."""

    def branchmap(self) -> BranchHeads:
        """Its branches."""

    def lookup(self, key: bytes) -> bytes:
        """The node that a name stands for."""

    def listkeys(self, namespace: bytes) -> Mapping[bytes, bytes]:
        """Keys and values of a namespace, hooks run."""

    def pushkey(self, namespace: bytes, key: bytes, old: bytes, new: bytes) -> bool:
        """Move one key, hooks run."""

    def invalidatedirstate(self) -> None:
        """Forget which revision is checked out."""

    def close(self) -> None:
        """Let go of files."""


def to_local(text: bytes) -> bytes:
    """Text from the wire in local encoding: UTF-8, where it is not that ISO-8859-1.

    Source: commands, "Text on the wire is UTF-8".
    """
    return bytes(encoding.tolocal(text))


def from_local(text: bytes) -> bytes:
    """Text in local encoding for the wire, UTF-8 again."""
    return bytes(encoding.fromlocal(text))


def mercurial_version() -> bytes:
    """The version of the installed library."""
    return bytes(util.version())
