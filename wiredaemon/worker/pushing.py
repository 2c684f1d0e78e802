"""``pushkey``: the one value command that writes.

Mercurial does the work: hooks, locks and transactions are the library's. This module adds what
the original does not check: names that damage the bookmarks file, changesets that are not served,
phases that do not exist.

Source: commands, section 3.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from wiredaemon.worker.failures import OperationFailed, Refusal
from wiredaemon.worker.library import bookmarks, to_local

if TYPE_CHECKING:
    from wiredaemon.worker.library_types import Repository

_HEX_NODE: Final = re.compile(rb"[0-9a-fA-F]{40}")
# The three of the protocol; Mercurial's own numbers go on, with phases that no client may set.
_PHASE: Final = re.compile(rb"[0-2]")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class PushResult(NamedTuple):
    """The result of pushing a key."""

    moved: bool
    """The key has the new value now."""

    output: bytes
    """The text that the operation and its shell hooks printed."""


def pushkey(
    repository: Repository, namespace: bytes, key: bytes, old: bytes, new: bytes
) -> PushResult:
    """Move ``key`` of a namespace from its value ``old`` to ``new``.

    Args:
        repository: The served view.
        namespace: ``bookmarks``, ``phases`` or ``obsolete``; any other one moves nothing.
        key: A bookmark's name; a hex node; ``dump<number>``.
        old: The value expected now: hex node or empty; decimal phase; empty.
        new: The value wanted: hex node, or empty to delete; decimal phase; encoded markers.

    Raises:
        Refusal: The request makes no sense, whatever the state. No hook was run.
        OperationFailed: The library or a hook raised, as ``__cause__``; nothing was changed.
    """
    namespace, key, old, new = map(to_local, (namespace, key, old, new))
    if namespace == b"phases":
        _check_phase(repository, key, old, new)
    elif namespace == b"bookmarks" and new:
        _check_bookmark(repository, key, new)
        if not repository.known([_node(new)])[0]:
            # What Mercurial answers for a node that does not exist; one that is not served looks
            # the same.
            return PushResult(moved=False, output=b"")
    return _run(repository, namespace, key, old, new)


def _run(
    repository: Repository, namespace: bytes, key: bytes, old: bytes, new: bytes
) -> PushResult:
    ui = repository.ui
    # Output of hooks is part of the answer, and must not reach standard error.
    ui.pushbuffer(error=True, subproc=True)
    try:
        moved = bool(repository.pushkey(namespace, key, old, new))
    except (ValueError, struct.error) as failure:
        # The library parses markers without checking their lengths.
        output = ui.popbuffer()
        if namespace == b"obsolete":
            raise OperationFailed(output) from Refusal(b"malformed obsolescence markers")
        raise OperationFailed(output) from failure
    except Exception as failure:
        raise OperationFailed(ui.popbuffer()) from failure
    # The buffer is on a stack of the open repository: one left there would swallow the next
    # command's output.
    except BaseException:
        ui.popbuffer()
        raise
    return PushResult(moved=moved, output=ui.popbuffer())


def _check_bookmark(repository: Repository, name: bytes, target: bytes) -> None:
    """Refuse what ``hg bookmark`` refuses. Deleting needs no check: a bad name has to go away."""
    if not _HEX_NODE.fullmatch(target):
        raise Refusal(b"a bookmark's value has to be 40 hexadecimal digits, or empty")
    # Tabs and line ends separate keys and values on the wire and in files.
    if _CONTROL.search(name):
        raise Refusal(b"a bookmark's name cannot contain control characters")
    if bookmarks.checkformat(repository, name) != name:
        raise Refusal(b"a bookmark's name cannot begin or end with whitespace")


def _check_phase(repository: Repository, key: bytes, old: bytes, new: bytes) -> None:
    if not _HEX_NODE.fullmatch(key):
        raise Refusal(b"the key of a phase has to be 40 hexadecimal digits")
    for phase in (old, new):
        if not _PHASE.fullmatch(phase):
            raise Refusal(b"a phase has to be 0 (public), 1 (draft) or 2 (secret)")
    if not repository.known([_node(key)])[0]:
        raise Refusal(b"unknown revision '%s'" % key)


def _node(digits: bytes) -> bytes:
    return bytes.fromhex(digits.decode("ascii"))
