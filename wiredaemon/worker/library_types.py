"""The part of Mercurial that we call, as we call it, in types: the library itself has none.

Names are the library's; what it has beyond these is left out. Nodes are 20 bytes; paths and names
are bytes in the encodings that the library keeps them in.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
    from contextlib import AbstractContextManager


class Ui(Protocol):
    """Configuration and output of one repository."""

    environ: Mapping[bytes, object]
    """Variables of the process, or of the request that is answered."""

    def config(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> bytes | None:
        """Return one value, or its default."""

    def configbool(
        self, section: bytes, name: bytes, *, default: bool = ..., untrusted: bool = ...
    ) -> bool:
        """Return one value as a boolean."""

    def configitems(self, section: bytes) -> list[tuple[bytes, bytes]]:
        """Return the names and values of a section."""

    def configlist(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> list[bytes]:
        """Return one value as a list."""

    def configsource(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> bytes:
        """Return where a value was set: ``file:line``, or something that is no file."""

    def hasconfig(self, section: bytes, name: bytes, *, untrusted: bool = ...) -> bool:
        """Return whether a value was set anywhere."""

    def flush(self) -> None:
        """Write out what waits in the buffers of both outputs."""

    def setconfig(self, section: bytes, name: bytes, value: bytes, source: bytes) -> None:
        """Set a value over all files."""

    def walkconfig(self, *, untrusted: bool = ...) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Return all values set: section, name, value."""

    def pushbuffer(self, *, error: bool = ..., subproc: bool = ...) -> None:
        """Begin to collect output, that of hooks too."""

    def popbuffer(self) -> bytes:
        """Stop collecting, and return what was collected."""


class BranchHeads(Protocol):
    """The branches of a view and their heads."""

    def __iter__(self) -> Iterator[bytes]:
        """Return branch names, in local encoding."""

    def branchheads(self, branch: bytes, *, closed: bool = ...) -> Sequence[bytes]:
        """Return head nodes of a branch, oldest first."""


class Files(Protocol):
    """Files below one folder of a repository."""

    def __call__(self, path: bytes, mode: bytes, *, auditpath: bool = ...) -> IO[bytes]:
        """Open a file."""

    def exists(self, path: bytes) -> bool:
        """Return whether there is such a file."""

    def stat(self, path: bytes) -> os.stat_result:
        """Return what the system says of a file."""


class Lock(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Release it."""


class Revlog(Protocol):
    """Revisions of one thing, numbered from 0; -1 is the null revision."""

    def __len__(self) -> int:
        """Return how many there are."""

    def reading(self) -> AbstractContextManager[None]:
        """Keep its files open, for many reads."""

    def rev(self, node: bytes) -> int:
        """Return the number of a node; raises `error.LookupError`."""

    def node(self, rev: int) -> bytes:
        """Return the node of a number."""

    def linkrev(self, rev: int) -> int:
        """Return the changeset that it was added with, numbered among all, served or not."""

    def parentrevs(self, rev: int) -> tuple[int, int]:
        """Return the numbers of its parents."""

    def flags(self, rev: int) -> int:
        """Return how its text is stored, and more; see `is_plain`."""

    def rawsize(self, rev: int) -> int:
        """Return bytes of the stored text."""

    def deltaparent(self, rev: int) -> int:
        """Return the revision that it is stored as a delta to; -1 for a full text."""

    def revdiff(self, rev1: int, rev2: int) -> bytes:
        """Return the delta that makes the stored text of the second from that of the first."""

    def rawdata(self, rev: int, validate: bool = ...) -> bytes:  # noqa: FBT001  as it is called
        """Return the stored text; its hash checked unless ``validate`` is false."""

    def revision(self, rev: int) -> bytes:
        """Return the text that the node is the hash of."""


class Changeset(Protocol):
    """One changeset, as it is stored."""

    files: Sequence[bytes]
    """The files that it changes."""


class Changelog(Revlog, Protocol):
    """The changesets; those of a view raise `error.LookupError` for others."""

    def changelogrevision(self, rev: int) -> Changeset:
        """Return a changeset."""

    filteredrevs: frozenset[int]
    """The numbers of those that are not in the view."""

    def findmissingrevs(self, common: Sequence[int], heads: Sequence[int]) -> Sequence[int]:
        """Return ancestors of heads, inclusive, that are not those of common, ascending."""


class Storage(Protocol):
    """The revisions of a file, or of a folder's manifest."""

    def get_revlog(self) -> Revlog:
        """Return the revisions."""


class Manifest(Protocol):
    """The files of one changeset."""

    def get(self, path: bytes) -> bytes | None:
        """Return the node of a file."""

    def iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        """Return all paths and nodes."""

    def walksubtrees(self) -> Iterator[Manifest]:
        """Return the manifests of folders, its own first; only where those are stored apart."""

    def dir(self) -> bytes:
        """Return the folder that it is for, with a slash at its end; likewise."""

    def node(self) -> bytes:
        """Return its own node; likewise."""


class ManifestContext(Protocol):
    """One manifest, not yet read."""

    def read(self) -> Manifest:
        """Read it."""


class ManifestLog(Protocol):
    """All manifests."""

    def __getitem__(self, node: bytes) -> ManifestContext:
        """Return the manifest of the root folder with this node."""

    def getstorage(self, tree: bytes) -> Storage:
        """Return the manifests of a folder: empty for the root, else with a slash at its end."""


class StoredFile(Protocol):
    """A file of the store."""

    unencoded_path: bytes


class StoreEntry(Protocol):
    """One or more files that belong together."""

    is_revlog: bool
    is_filelog: bool
    target_id: bytes
    """The path of the file whose revisions it has."""

    def main_file_path(self) -> bytes:
        """Return its first file."""

    def files(self, vfs: Files) -> Sequence[StoredFile]:
        """Return its files."""


class Store(Protocol):
    """The files that hold the history."""

    def top_entries(self) -> Iterable[StoreEntry]:
        """Return all but those of file revisions."""

    def data_entries(self) -> Iterable[StoreEntry]:
        """Return those of file revisions, and of folders' manifests."""


class BundlePart(Protocol):
    """One part of a bundle."""

    def addparam(self, name: bytes, value: bytes, mandatory: bool = ...) -> None:  # noqa: FBT001 as it is called
        """Add a parameter."""


class Bundler(Protocol):
    """A bundle that is going to be written."""

    def setcompression(self, engine: bytes) -> None:
        """Compress it, with a name as the format has it."""

    def newpart(self, kind: bytes, *, data: Iterable[bytes]) -> BundlePart:
        """Add a part."""

    def getchunks(self) -> Iterator[bytes]:
        """Return all of it."""


class Repository(Protocol):
    """One repository as seen through one view."""

    ui: Ui
    baseui: Ui
    """The configuration that it was opened with: ``ui`` without the repository's own files."""
    filtername: bytes
    """The name of the view; never that of ``unfiltered``."""
    path: bytes
    """Its ``.hg`` folder."""
    sharedpath: bytes
    """The ``.hg`` folder that holds the store: another one for a shared repository."""
    spath: bytes
    """The store folder."""
    vfs: Files
    """Files below ``path``."""
    svfs: Files
    """Files below ``spath``."""
    changelog: Changelog
    """The changesets of the view."""
    manifestlog: ManifestLog
    """Manifests, those of other views too."""
    store: Store
    """The files of the history."""
    obsstore: Sized
    """The obsolescence markers."""
    requirements: set[bytes]
    """The features that a program needs to read it."""

    def filtered(self, name: bytes) -> Repository:
        """Return the same repository through another view."""

    def unfiltered(self) -> Repository:
        """Return the same repository through no view."""

    def file(self, path: bytes) -> Storage:
        """Return the revisions of a file, those of other views too; none for an unknown file."""

    def publishing(self) -> bool:
        """Return whether what others get becomes public."""

    def heads(self) -> Sequence[bytes]:
        """Return head nodes, highest revision first."""

    def known(self, nodes: Iterable[bytes]) -> Sequence[bool]:
        """Return whether the view has each node."""

    def branchmap(self) -> BranchHeads:
        """Return its branches."""

    def lookup(self, key: bytes) -> bytes:
        """Return the node that a name stands for."""

    def listkeys(self, namespace: bytes) -> Mapping[bytes, bytes]:
        """Return keys and values of a namespace, hooks run."""

    def pushkey(self, namespace: bytes, key: bytes, old: bytes, new: bytes) -> bool:
        """Move one key, and run hooks."""

    def wlock(self, *, wait: bool = ...) -> Lock:
        """Lock what is outside the store; before the store."""

    def lock(self, *, wait: bool = ...) -> Lock:
        """Lock the store."""

    def recover(self) -> bool:
        """Roll back the abandoned transaction, and return whether there was one."""

    def invalidatedirstate(self) -> None:
        """Forget which revision is checked out."""

    def close(self) -> None:
        """Close the files."""
