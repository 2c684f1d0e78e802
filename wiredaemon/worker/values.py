"""The value commands that only read: plain functions on an open repository's served view.

Nodes are 20 raw bytes, names and keys UTF-8. The form of a value in a dialect is left to others
(``text`` for 0002), writing to ``pushing``.

Source: commands, sections 1, 2 and 4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.library import (
    error,
    from_local,
    to_local,
    wireprotoserver,
    wireprotov1server,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.worker.library_types import Repository

NODE_SIZE: Final = 20

_SHOWN_KEY: Final = 200
"""Bytes of a key that are repeated in a message, as many as people read."""


def heads(repository: Repository, *, publiconly: bool = False) -> list[bytes]:
    """Return the head nodes, highest revision first; ``[null node]`` when there is none.

    Args:
        repository: The served view.
        publiconly: Return the heads of the public changesets only.
    """
    # Mercurial's name for the view of public changesets.
    view = repository.filtered(b"immutable") if publiconly else repository
    return [bytes(head) for head in view.heads()]


def known(repository: Repository, nodes: Sequence[bytes]) -> bytes:
    """Return ``1`` for each node that is served, ``0`` for each other one.

    Raises:
        Refusal: A node is not 20 bytes long.
    """
    for candidate in nodes:
        if len(candidate) != NODE_SIZE:
            raise Refusal(b"a node has %d bytes, not %d" % (NODE_SIZE, len(candidate)))
    return b"".join(b"%d" % bool(is_known) for is_known in repository.known(nodes))


def branchmap(repository: Repository) -> dict[bytes, list[bytes]]:
    """Return the head nodes of each branch, oldest first, closed ones too; sorted by name."""
    branches = repository.branchmap()
    return {
        from_local(branch): [bytes(head) for head in branches.branchheads(branch, closed=True)]
        for branch in sorted(branches)
    }


def listkeys(repository: Repository, namespace: bytes) -> dict[bytes, bytes]:
    """Return the keys and values of a pushkey namespace, sorted; nothing for an unknown one.

    The repository's hooks for it run, and may refuse.

    Source: commands, section 3.
    """
    found = repository.listkeys(to_local(namespace))
    return dict(sorted((from_local(key), from_local(value)) for key, value in found.items()))


def lookup(repository: Repository, key: bytes) -> bytes:
    """Return the node of a name: hash or its prefix, tag, bookmark, branch, number, ``.``.

    Raises:
        Refusal: ``unknown revision '<key>'``, also for a revision that exists and is not served,
            and for the working directory's pseudo node; or an ambiguous prefix.
    """
    local = to_local(key)
    # To the library it is a prefix of every node, and ambiguous.
    if not local:
        raise _unknown(local)
    try:
        found = bytes(repository.lookup(local))
    except error.AmbiguousPrefixLookupError:
        raise Refusal(b"ambiguous identifier '%s'" % _shown(local)) from None
    except (error.RepoLookupError, error.LookupError):
        raise _unknown(local) from None
    # "." of a secret working directory parent, and the working directory itself, come through.
    if not repository.known([found])[0]:
        raise _unknown(local)
    return found


def _unknown(key: bytes) -> Refusal:
    return Refusal(b"unknown revision '%s'" % _shown(key))


def _shown(key: bytes) -> bytes:
    """Return a key for a message: UTF-8, not longer than people read."""
    if len(key) <= _SHOWN_KEY:
        return from_local(key)
    # The cut may be in the middle of a character, whose rest is left out.
    return key[:_SHOWN_KEY].decode("utf-8", "ignore").encode() + b"..."


def clonebundles(repository: Repository) -> bytes:
    """Return the clone bundles manifest as older clients understand it, empty if there is none."""
    protocol = http_protocol(repository)
    return bytes(wireprotov1server.clonebundles(repository, protocol).data)


def capabilities_v1(repository: Repository) -> bytes:
    """Return the capability string of version 1 over HTTP: tokens, sorted, with spaces between."""
    protocol = http_protocol(repository)
    return bytes(wireprotov1server.capabilities(repository, protocol).data)


def http_protocol(repository: Repository) -> object:
    """Return the transport that version 1 commands see; there is no request behind it."""
    return wireprotoserver.httpv1protocolhandler(None, repository.ui, None)
