"""The description of a repository that a worker's ``describe`` returns: both sides import this.

``worker.describe`` fills it in, and ``net.hosting`` decides on requests with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from wiredaemon.commands import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.wire.values import Value

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
    hidden: bool
    """Lists of repositories leave it out."""
    extensions: bytes
    """The name of the set of extensions that are enabled; only workers with this set serve it."""
    watched: Sequence[bytes]
    """Files that decide what is in this description. These and the following are absolute paths,
    and not all of the files exist."""
    state: Sequence[bytes]
    """Files one of which changes whenever the answer of a read-only command may change."""
    journals: Sequence[bytes]
    """Files that exist while a transaction runs, or since one was abandoned."""
    clones: bytes
    """A digest of all but files that answers to clones depend on; empty where none is kept."""
    clones_by_user: bool
    """Two users may be answered differently."""

    def encode(self) -> Mapping[bytes, Value]:
        """Return the result of the command ``describe``."""
        return {
            b"web": self.web,
            b"api": self.api,
            b"requirements": self.requirements,
            b"compression": self.compression,
            b"stream_allowed": self.stream_allowed,
            b"capabilities": self.capabilities,
            b"version1": self.version1,
            b"description": self.description,
            b"contact": self.contact,
            b"hidden": self.hidden,
            b"extensions": self.extensions,
            b"watched": self.watched,
            b"state": self.state,
            b"journals": self.journals,
            b"clones": self.clones,
            b"clones_by_user": self.clones_by_user,
        }

    @classmethod
    def parse(cls, result: object) -> Description:
        """Read the result of the command ``describe``.

        Raises:
            ServerError: It is not what ``encode`` returns.
        """
        match result:
            case {
                # One pattern for the whole map: a key that is missing and one of a wrong type are
                # one failure, that of two releases side by side.
                b"web": dict() as web,
                b"api": dict() as api,
                b"requirements": list() as requirements,
                b"compression": list() as compression,
                b"stream_allowed": bool() as stream_allowed,
                b"capabilities": bytes() as capabilities,
                b"version1": dict() as version1,
                b"description": bytes() as description,
                b"contact": bytes() as contact,
                b"hidden": bool() as hidden,
                b"extensions": bytes() as extensions,
                b"watched": list() as watched,
                b"state": list() as state,
                b"journals": list() as journals,
                b"clones": bytes() as clones,
                b"clones_by_user": bool() as clones_by_user,
            }:
                return cls(
                    web={_bytes(name): _setting(value) for name, value in web.items()},
                    api={_bytes(name): _switch(on) for name, on in api.items()},
                    requirements=_list(requirements),
                    compression=_list(compression),
                    stream_allowed=stream_allowed,
                    capabilities=capabilities,
                    version1={_bytes(name): _bytes(right) for name, right in version1.items()},
                    description=description,
                    contact=contact,
                    hidden=hidden,
                    extensions=extensions,
                    watched=_list(watched),
                    state=_list(state),
                    journals=_list(journals),
                    clones=clones,
                    clones_by_user=clones_by_user,
                )
            case _:
                raise _improper()


def _improper() -> ServerError:
    return ServerError("the repository worker gave no proper description")


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise _improper()
    return value


def _list(value: Sequence[object]) -> Sequence[bytes]:
    return [_bytes(item) for item in value]


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _improper()
    return value


def _setting(value: object) -> Setting:
    return _list(value) if isinstance(value, list) else _switch(value)
