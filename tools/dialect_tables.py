"""The differences between the dialects, as a document: ``make reference``.

It is read from the table in ``wiredaemon/wire/dialects.py``; ``tests/docs/test_references.py``
compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.daemon.config import FRAMINGS
from wiredaemon.wire.dialects import DIALECTS, FrameType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wiredaemon.wire.dialects import Dialect

_HEAD: Final = """# Dialects

A dialect is one revision of the framing, named by the four digits at the end of its media type,
`application/mercurial-exp-framing-0006`. The daemon speaks each of them as Mercurial released it;
commands never see which. [Framing](spec/framing.md) describes them in words, and
[transcripts](transcripts.md) shows each of them at work.

These tables are made by `make reference` from `wiredaemon/wire/dialects.py`, which is all that the
code knows of the differences.
"""
_RAW: Final = """\
On raw sockets it is 0006, or the one that the endpoint has in front of it; over TLS a client may
ask for another one by ALPN, with its media type. Mercurial never released 0004.
"""
_RULES: Final[Mapping[str, Callable[[Dialect], str]]] = {
    "the client may begin with its settings, and streams have content encodings": lambda dialect: (
        _yes(dialect.sender_settings)
    ),
    "each response begins its stream anew": lambda dialect: _yes(dialect.restarts_streams),
    "over HTTP no command runs before all input was accepted": lambda dialect: _yes(
        dialect.runs_at_end
    ),
    "bytes after the request map must be complete CBOR items; else they are ignored": (
        lambda dialect: _yes(dialect.whole_request)
    ),
    "arguments that are not declared are refused": lambda dialect: _yes(dialect.strict_arguments),
    "Content-Type over HTTP is compared without case and parameters": lambda dialect: _yes(
        dialect.loose_content_type
    ),
    "CBOR outside of the protocol's subset is refused": lambda dialect: _yes(dialect.cbor.strict),
    "order of the keys of maps": lambda dialect: dialect.cbor.key_order.value,
}


def document() -> str:
    """Return the whole document."""
    dialects = tuple(DIALECTS.values())
    names = [f"`{dialect.name}`" for dialect in dialects]
    apis = ([f"`{name}`", ", ".join(framings)] for name, framings in FRAMINGS.items())
    forms = (
        [f"`{each.name}`", each.request.value, each.response.value, each.error.value]
        for each in dialects
    )
    rules = ([words, *map(value, dialects)] for words, value in _RULES.items())
    frames = ([f"`{kind.value}`", *(_frame(each, kind) for each in dialects)] for kind in FrameType)
    parts = (
        _HEAD,
        "## Where they are spoken\n",
        _table(["API over HTTP", "dialects, the preferred one first"], apis),
        _RAW,
        "## Requests and responses\n",
        _table(["dialect", "a request is", "a result is", "a failure is"], forms),
        "## Rules\n",
        _table(["", *names], rules),
        "## Frame types\n",
        "The number of each type, and its flags with their bits.\n",
        _table(["type", *names], frames),
    )
    return "\n".join(parts)


def _frame(dialect: Dialect, kind: FrameType) -> str:
    form = dialect.frames.get(kind)
    if form is None:
        return ""
    flags = ", ".join(f"{name} {bit}" for name, bit in form.flags.items())
    return f"**{form.number}** {flags}".strip()


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [heads := list(heads), ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    print(document(), end="")
