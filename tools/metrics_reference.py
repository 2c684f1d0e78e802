"""The metrics of the daemon, as a document: ``make reference``.

It is read from the table of ``wiredaemon/net/admin/metrics.py``, and from the library for what it
says of any process; ``tests/docs/test_references.py`` compares the document with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector

from wiredaemon.net.admin.metrics import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HEAD: Final = """# Metrics

What a daemon with `[admin]` in its configuration answers to `GET /metrics`
([operation.md](operation.md#metrics-and-health)). A counter only grows, and begins at 0 when the
daemon is started; a gauge is of the moment at which it is read. Names in parentheses are keys of
`[limits]` ([limits.md](limits.md)). Requests pay next to nothing for them: all but the number of
commands is read from what the daemon counts for itself.

This page is made by `make reference` of the table in the code.
"""
_PROCESS: Final = "Process"
_ROWS: Final = "| metric | type | labels | what it is |\n|---|---|---|---|\n"


def document() -> str:
    """Return the whole document."""
    sections = [_section(*each) for each in _sections()]
    return _HEAD + "".join(sections)


def _sections() -> Iterator[tuple[str, list[str]]]:
    for group in GROUPS:
        yield (
            group.title,
            [_row(each.name, each.kind, each.labels, each.help) for each in group.metrics],
        )
    yield _PROCESS, list(_process_rows())


def _process_rows() -> Iterator[str]:
    for family in ProcessCollector(registry=CollectorRegistry()).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield _row(name, family.type, (), family.documentation)


def _row(name: str, kind: str, labels: Sequence[str], text: str) -> str:
    shown = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {kind} | {shown} | {text} |\n"


def _section(title: str, rows: Iterable[str]) -> str:
    return f"\n## {title}\n\n{_ROWS}{''.join(rows)}"


if __name__ == "__main__":
    print(document(), end="")
