"""The version 1 text forms of the value commands, as dialect 0002 sends them.

Pure functions on bytes, without Mercurial: the daemon uses them on the values that a worker
returned. ``known`` needs no form of its own, its value (``0`` and ``1``) is the text already.

Source: commands, section 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A pattern, because bytes.fromhex would also take spaces between the digits.
_HEX_NODE: Final = re.compile(rb"[0-9a-fA-F]{40}")

_VERSION_1_ONLY: Final = frozenset(
    # Commands and transport features that the frame-based protocol does not share.
    (
        b"batch",
        b"changegroupsubset",
        b"compression",
        b"httpheader",
        b"httpmediatype",
        b"httppostargs",
    )
)


def encode_branchmap(branches: Mapping[bytes, Sequence[bytes]]) -> bytes:
    """Lines ``<urlquoted branch> <hex> <hex>...``, no final line end; empty for no branch."""
    return b"\n".join(
        b" ".join((quote_from_bytes(branch).encode("ascii"), *_hex(heads)))
        for branch, heads in branches.items()
    )


def encode_heads(nodes: Sequence[bytes]) -> bytes:
    """Hex nodes with spaces between, then a line end."""
    return b" ".join(_hex(nodes)) + b"\n"


def parse_nodes(text: bytes) -> list[bytes]:
    """The nodes of ``known``: hex, single spaces between; empty text is no node.

    Raises:
        ValueError: Anything else; the text says which entry.
    """
    if not text:
        return []
    entries = text.split(b" ")
    for number, entry in enumerate(entries, 1):
        if not _HEX_NODE.fullmatch(entry):
            raise ValueError(f"nodes: entry {number} is not a node of 40 hexadecimal digits")
    return [bytes.fromhex(entry.decode("ascii")) for entry in entries]


def encode_listkeys(keys: Mapping[bytes, bytes]) -> bytes:
    r"""Lines ``<key>\t<value>``, sorted by key, no final line end.

    Raises:
        ValueError: A key or value holds a tab or line end, which this form cannot show.
    """
    for key, value in keys.items():
        if any(separator in text for text in (key, value) for separator in (b"\t", b"\n")):
            # Mercurial would send it, and its client read other keys than there are.
            raise ValueError("listkeys: a key or value with a tab or line end has no text form")
    return b"\n".join(b"%s\t%s" % item for item in sorted(keys.items()))


def encode_lookup(node: bytes) -> bytes:
    """``1 <hex>`` and a line end."""
    return b"1 %s\n" % node.hex().encode("ascii")


def encode_lookup_failure(text: bytes) -> bytes:
    """``0 <text>`` and a line end; the text is made one line."""
    # Version 1's clients read a single line.
    return b"0 %s\n" % b" ".join(text.splitlines())


def encode_pushkey(*, moved: bool, output: bytes) -> bytes:
    """``1`` or ``0``, a line end, then what the operation printed, unchanged."""
    return b"%d\n%s" % (moved, output)


def reduce_capabilities(capabilities: bytes) -> bytes:
    """The capabilities that 0002 tells of, from version 1's: same order, some left out."""
    tokens = capabilities.split(b" ")
    return b" ".join(token for token in tokens if token.partition(b"=")[0] not in _VERSION_1_ONLY)


def encode_hello(capabilities: bytes) -> bytes:
    """``capabilities: <tokens>`` and a line end.

    Args:
        capabilities: As ``reduce_capabilities`` gives them.
    """
    return b"capabilities: %s\n" % capabilities


def _hex(nodes: Sequence[bytes]) -> list[bytes]:
    return [node.hex().encode("ascii") for node in nodes]
