"""What is cited exists: each ``Source:`` of a module, and each section that a comment names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
SPECIFICATION: Final = ROOT / "docs" / "spec"
DOCUMENTS: Final = {
    file.stem: set(re.findall(r"^#+ (\d+(?:\.\d+)*)\b", file.read_text("utf-8"), re.MULTILINE))
    for file in SPECIFICATION.glob("*.md")
    if file.stem != "README"
}
"""The numbers of the sections of each document."""

OUTSIDE: Final = re.compile(
    r"RFC \d+|PEP \d+|docs/[\w/.-]+\.md|hg help [\w.-]+|XDG Base Directory Specification"
    r"|gRPC over HTTP2|sd_notify\(3\)|cbor2 documentation|Twisted documentation"
)
"""How documents of others, and our own outside of the specification, are named."""

CITATION: Final = re.compile(
    rf"\b({'|'.join(sorted(DOCUMENTS, key=len, reverse=True))}), sections? "
    r"(\d+(?:\.\d+)*(?:(?:, | and | to )\d+(?:\.\d+)*)*)"
)
"""For instance ``framing, sections 6.1 to 6.3, 11 and 13``."""

SHORT: Final = re.compile(
    rf"\b({'|'.join(sorted(DOCUMENTS, key=len, reverse=True))}),? (?:sections? )?"
    r"(\d{1,2}(?:\.\d+)*(?:(?:, | and | to )\d+\.\d+)*)(?![\d:%])(?! [a-z]+s\b)"
)
"""How comments of tests name a section: ``framing 6.3``, ``framing, 6.1 to 6.3``."""

END: Final = re.compile(r'"""|\n\s*\n|\n\s*(?:Args|Returns|Raises|Yields):')
"""What ends a ``Source:`` of several lines."""

WHERE: Final = ("wiredaemon", "twisted", "tests", "benchmarks", "tools", "conf")


def sources(text: str) -> Iterator[tuple[int, str]]:
    """Every ``Source:`` with its line: what stands behind it up to a blank line or the quotes."""
    for found in re.finditer(r"\bSource:\s", text):
        line = text.count("\n", 0, found.start()) + 1
        rest = END.split(text[found.end() :], maxsplit=1)[0]
        yield line, " ".join(rest.replace("#", " ").split())


def unresolved(source: str) -> list[str]:
    """The parts of one ``Source:`` that name no document and section."""
    wrong: list[str] = []
    for part in re.split(r"; ", source.rstrip(".")):
        document = part.partition(",")[0]
        if document in DOCUMENTS and CITATION.match(part):
            continue
        if not OUTSIDE.match(part) and not re.match(r"sections? \d", part):
            wrong.append(part)
    return wrong


def missing(text: str) -> Iterator[tuple[int, str]]:
    """Every citation of a section that its document does not have, with its line."""
    flat = re.sub(r"\s*\n\s*#?\s*", " ", text)
    for found in [*CITATION.finditer(flat), *SHORT.finditer(flat)]:
        document, numbers = found.groups()
        for number in re.split(r", | and | to ", numbers):
            if number not in DOCUMENTS[document]:
                at = re.search(rf"{re.escape(document)},?\s", text)
                line = text.count("\n", 0, at.start()) + 1 if at else 1
                yield line, f"{document} has no section {number}"


def modules() -> list[Path]:
    return sorted(file for folder in WHERE for file in (ROOT / folder).rglob("*.py"))


def test_the_specification_is_there() -> None:
    assert {"framing", "http", "commands", "server-state-machine", "reliability"} <= set(DOCUMENTS)
    assert all(DOCUMENTS.values())


@pytest.mark.parametrize("folder", WHERE)
def test_every_source_resolves(folder: str) -> None:
    wrong: list[str] = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        if file == Path(__file__):
            continue
        text, name = file.read_text("utf-8"), file.relative_to(ROOT).as_posix()
        wrong += [f"{name}:{at}: {part}" for at, each in sources(text) for part in unresolved(each)]
        wrong += [f"{name}:{line}: {reason}" for line, reason in missing(text)]
    assert wrong == []


def test_every_section_that_a_document_names_exists() -> None:
    documents = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    assert [
        f"{document.relative_to(ROOT).as_posix()}: {reason}"
        for document in sorted(documents)
        for _, reason in missing(document.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("framing, section 6.3; http, sections 3.1 to 3.3.", []),
        ("RFC 9112, section 3.", []),
        ("framing.md 6.3", ["framing.md 6.3"]),
        ("the framing document", ["the framing document"]),
    ],
)
def test_a_source_that_names_nothing_would_be_found(source: str, expected: list[str]) -> None:
    assert unresolved(source) == expected


@pytest.mark.parametrize(
    "text", ["See framing, sections 2 and 99.", "framing 99", "(framing, 99)", "framing 99 and 6.3"]
)
def test_a_section_that_is_not_there_would_be_found(text: str) -> None:
    found = set(missing(f'"""{text}"""'))
    assert found == {(1, "framing has no section 99")}
