"""Each shell line of docs/tools.md is run as it stands there, and prints what stands below it."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.daemon import Daemon
from support.documents import blocks_of
from support.environment import environment

from wiredaemon.daemon.cli import _parse
from wiredaemon.daemon.client_status import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "tools.md"
TEXT: Final = DOCUMENT.read_text("utf-8")
BLOCKS: Final = blocks_of(DOCUMENT)
LINES: Final = [
    (line, expected)
    for language, text in BLOCKS
    if language == "console"
    for line, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
]
"""Each shell line, and what it prints."""
PORTS: Final = {"http": "8000", "https": "8443", "framed": "8010", "framed_tls": "8011"}


def run(line: str, folder: Path) -> str:
    """What a line prints, with its exit status in brackets if it is not 0."""
    variables = environment()
    finished = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**variables, "PATH": f"{sysconfig.get_path('scripts')}:{variables['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=50,
    )
    status = f"[{finished.returncode}]\n" if finished.returncode else ""
    return finished.stdout + status


def matches(expected: str, shown: str) -> bool:
    """Whether a text is as expected, where ``...`` is anything on a line, or whole lines."""
    pattern = ""
    for line in expected.strip("\n").split("\n"):
        anything = r"[^\n]*".join(re.escape(part) for part in line.split("..."))
        pattern += r"(?:[^\n]*\n)*?" if line == "..." else rf"{anything}\n"
    return re.fullmatch(pattern, f"{shown.rstrip()}\n") is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lines are run: with the folder that the first of them makes."""
    made = tmp_path_factory.mktemp("tools")
    line, expected = LINES[0]
    assert line == "wiredaemon init demo"
    assert matches(expected, run(line, made))
    (commands,) = [text for language, text in BLOCKS if language == "python"]
    (made / "demo" / "greetings.py").write_text(commands, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    text = (folder / "demo" / "wiredaemon.toml").read_text("utf-8")
    text = text.replace("\nload = []\n", '\nload = ["greetings.py"]\n')
    for port in PORTS.values():
        text = text.replace(f"tcp:{port}:", "tcp:0:")
    with Daemon.start(text, folder / "demo") as running:
        yield running


@pytest.mark.parametrize(("line", "expected"), LINES[1:])
def test_a_line_prints_what_stands_below_it(
    line: str, expected: str, folder: Path, daemon: Daemon
) -> None:
    ports = {known: str(daemon.port(name)) for name, known in PORTS.items()}
    with_ports = re.sub(r"(hgrpcs?)://127\.0\.0\.1/", r"\1://127.0.0.1:<\1>/", line)
    with_ports = with_ports.replace("<hgrpc>", "8010").replace("<hgrpcs>", "8011")
    with_ports = re.sub(r":(\d{4})/", lambda found: f":{ports[found[1]]}/", with_ports)
    shown = run(with_ports, folder)
    for known, port in ports.items():
        shown = shown.replace(f"127.0.0.1:{port}", f"127.0.0.1:{known}")
    assert matches(expected, shown), shown


def test_indented_lines_are_accepted() -> None:
    found = re.findall(r"^    wiredaemon ([^#\n]+)", TEXT, re.MULTILINE)
    assert len(found) == 5
    for words in found:
        assert _parse(words.split()).command == "heads"


def test_the_table_has_every_status() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert {int(status): meaning for status, meaning in rows} == dict(MEANINGS)


@pytest.mark.parametrize(
    ("expected", "shown", "outcome"),
    [
        ("a\n", "a\n", True),
        ("a ... c\n", "a b c\n", True),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\nc\n", "c\n", True),
        ("a\n", "a\nb\n", False),
        ("a ... c\n", "a\nc\n", False),
    ],
)
def test_dots_stand_for_anything_and_for_nothing_else(
    expected: str, shown: str, *, outcome: bool
) -> None:
    assert matches(expected, shown) is outcome
