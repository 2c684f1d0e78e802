"""The description of a repository that a worker's ``describe`` returns: both sides import this.

``worker.describe`` fills it in, and ``net.hosting`` decides on requests with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from wiredaemon.commands import ServerError
from wiredaemon.repository.clone_bundles import StreamsFirst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wiredaemon.wire.values import Value

_T = TypeVar("_T")

Setting: TypeAlias = "bool | Sequence[bytes]"
"""A switch, or a list of user names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The settings and files of a repository that the daemon needs to decide on a request.

    Source: http, sections 2 and 5; commands, sections 2.1 and 4.3.
    """

    web: Mapping[bytes, Setting]
    """The settings of ``[web]`` that a configuration file sets, under the daemon's own names."""
    api: Mapping[bytes, bool]
    """The switches of ``[experimental]`` that a trusted file sets, under the daemon's own names."""
    requirements: Sequence[bytes]
    """The features that a client needs to read the raw store, sorted."""
    compression: Sequence[bytes]
    """Names of compression engines of version 1, the preferred one first."""
    stream_allowed: bool
    """Clients may copy the raw store."""
    capabilities: bytes
    """The capability string of version 1, names with spaces between."""
    version1: Mapping[bytes, bytes]
    """Commands of version 1, sorted by name; each needs the right to ``pull`` or to ``push``."""
    description: bytes
    """A line for people; empty where none is set."""
    contact: bytes
    """The person to write to; empty where none is set."""
    name: bytes
    """The name that lists show in place of the path; empty where none is set."""
    labels: Sequence[bytes]
    """Words for programs that read lists of repositories."""
    hidden: bool
    """Lists of repositories leave it out."""
    extensions: bytes
    """The name of the set of extensions that are enabled; only workers with this set serve it."""
    watched: Sequence[bytes]
    """Files that decide what is in this description. These and the following are absolute paths,
    and not all of the files exist."""
    rare: Sequence[bytes]
    """Further ones, of user and system, that are not there yet, and folders of such files."""
    state: Sequence[bytes]
    """Files one of which changes whenever the answer of a read-only command may change."""
    journals: Sequence[bytes]
    """Files that exist while a transaction runs, or since one was abandoned."""
    clones: bytes
    """A digest of all but files that answers to clones depend on; empty where none is kept."""
    clones_by_user: bool
    """Two users may be answered differently."""
    bundles: Sequence[bytes]
    """The kinds of bundles that clients may unpack before they pull, as ``BUNDLESPEC`` has them."""
    streams_first: StreamsFirst
    """The clients for which a copy of the store goes first among them."""

    def encode(self) -> Mapping[bytes, Value]:
        """Return the result of the command ``describe``."""
        values = {name.encode("ascii"): getattr(self, name) for name in _READERS}
        return {**values, b"streams_first": self.streams_first.value}

    @classmethod
    def parse(cls, result: object) -> Description:
        """Read the result of the command ``describe``.

        Raises:
            ServerError: It is not what ``encode`` returns.
        """
        # A key that is missing and one of a wrong type are one failure, that of two releases side
        # by side.
        found = result if isinstance(result, dict) else {}
        values: dict[str, Any] = {
            name: read(found.get(name.encode("ascii"))) for name, read in _READERS.items()
        }
        return cls(**values)


def _improper() -> ServerError:
    return ServerError("the repository worker gave no proper description")


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise _improper()
    return value


def _list(value: object) -> Sequence[bytes]:
    if not isinstance(value, list):
        raise _improper()
    return [_bytes(item) for item in value]


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _improper()
    return value


def _map(value: object, read: Callable[[object], _T]) -> Mapping[bytes, _T]:
    if not isinstance(value, dict):
        raise _improper()
    return {_bytes(name): read(item) for name, item in value.items()}


def _streams_first(value: object) -> StreamsFirst:
    try:
        return StreamsFirst(value)
    except ValueError:
        raise _improper() from None


def _setting(value: object) -> Setting:
    return _list(value) if isinstance(value, list) else _switch(value)


_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "web": lambda value: _map(value, _setting),
    "api": lambda value: _map(value, _switch),
    "requirements": _list,
    "compression": _list,
    "stream_allowed": _switch,
    "capabilities": _bytes,
    "version1": lambda value: _map(value, _bytes),
    "description": _bytes,
    "contact": _bytes,
    "name": _bytes,
    "labels": _list,
    "hidden": _switch,
    "extensions": _bytes,
    "watched": _list,
    "rare": _list,
    "state": _list,
    "journals": _list,
    "clones": _bytes,
    "clones_by_user": _switch,
    "bundles": _list,
    "streams_first": _streams_first,
}
"""The fields of a description, and what reads the value of each."""
