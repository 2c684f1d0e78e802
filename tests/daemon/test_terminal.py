"""Text and progress for people: lines in files and pipes, a bar on a terminal."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

import pytest

from wiredaemon.daemon.terminal import Terminal
from wiredaemon.protocol import ProgressReceived


class _Screen(StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def made(screen: StringIO, clock: Clock | None = None) -> Terminal:
    return Terminal(screen, BytesIO(), clock or Clock())


def step(terminal: Terminal, position: int, total: int | None = None, **more: Any) -> None:
    topic = more.pop("topic", b"files")
    terminal.receive_progress(
        ProgressReceived(request_id=1, topic=topic, position=position, total=total, **more)
    )


def steps(terminal: Terminal) -> None:
    step(terminal, 1, 3, label=b"file", item=b"a")
    terminal.receive_text(b"hello\n")
    step(terminal, 2)
    step(terminal, -1)


@pytest.fixture(autouse=True)
def terminal_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def test_progress_is_a_bar_on_a_terminal_that_overwrites_itself() -> None:
    screen = _Screen()
    steps(made(screen))
    bar = "=========>".ljust(30)
    assert screen.getvalue() == (f"files [{bar}] 1/3 file a\r\x1b[Khello\nfiles: 2\r\x1b[K")


@pytest.mark.parametrize("kind", ["file", "dumb"])
def test_progress_is_lines_elsewhere(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _Screen() if kind == "dumb" else StringIO()
    if kind == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    steps(made(file))
    assert file.getvalue() == "files: 1/3 file a\nhello\nfiles: 2\n"


@pytest.mark.parametrize(
    ("position", "total", "bar"),
    [
        (0, 30, " " * 30),
        (1, 30, ">".ljust(30)),
        (29, 30, ("=" * 28 + ">").ljust(30)),
        (30, 30, "=" * 30),
        (45, 30, "=" * 30),
    ],
)
def test_a_bar_is_as_long_as_what_is_done(position: int, total: int, bar: str) -> None:
    screen = _Screen()
    step(made(screen), position, total)
    assert screen.getvalue() == f"files [{bar}] {position}/{total}"


@pytest.mark.parametrize("total", [0, -3])
def test_a_total_that_is_none_has_no_bar(total: int) -> None:
    screen = _Screen()
    step(made(screen), 1, total)
    assert screen.getvalue() == f"files: 1/{total}"


@pytest.mark.parametrize(("item", "kept"), [("x", 70), ("\u4e2d", 35), ("e\u0301", 70)])
def test_a_line_never_reaches_the_last_column(item: str, kept: int) -> None:
    screen = _Screen()
    step(made(screen), 1, None, item=(item * 200).encode())
    assert screen.getvalue() == "files: 1 " + item * kept


def test_a_bar_is_drawn_ten_times_a_second_at_most() -> None:
    screen, clock = _Screen(), Clock()
    terminal = made(screen, clock)
    step(terminal, 1)
    clock.time = 0.09
    step(terminal, 2)
    step(terminal, 1, topic=b"other")
    clock.time = 0.2
    step(terminal, 2, topic=b"other")
    terminal.clear()
    terminal.clear()
    assert screen.getvalue() == ("files: 1\r\x1b[Kother: 1\r\x1b[Kother: 2\r\x1b[K")


def test_a_topic_of_a_server_cannot_steer_the_terminal() -> None:
    screen = _Screen()
    step(made(screen), 1, topic=b"\x1b[2J", item=b"a\nb")
    assert screen.getvalue() == "\\x1b[2J: 1 a b"
