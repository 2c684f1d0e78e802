"""The asyncio client goes on when its server has been away, and says so where there is none."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

import pytest
from support.environment import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER: Final = ROOT / "examples" / "asyncio_client"


def place(folder: Path) -> str:
    """A place that the server finds free again when it comes back."""
    return f"unix:{folder}/s"


@contextmanager
def running(folder: Path, name: str, *arguments: str) -> Iterator[IO[str]]:
    """Run one of the programs until it ends, or the block does; gives what it prints."""
    with subprocess.Popen(
        [sys.executable, str(FOLDER / name), *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        assert program.stdout is not None
        try:
            yield program.stdout
        finally:
            program.terminate()


@contextmanager
def server(folder: Path) -> Iterator[IO[str]]:
    with running(folder, "weather.py", place(folder)) as shown:
        assert next(shown) == f"weather at {place(folder)}\n"
        yield shown


def test_a_stream_goes_on_when_the_server_is_back(tmp_path: Path) -> None:
    with server(tmp_path):
        follower = running(tmp_path, "ask_weather.py", place(tmp_path), "follow", "1000")
        shown = follower.__enter__()
        assert next(shown) == "change 1\n"
    try:
        for line in shown:
            if not line.startswith("change "):
                break
        assert line == "the connection is lost\n"
        with server(tmp_path):
            assert next(shown) == "change 1\n"
            assert next(shown) == "change 2\n"
    finally:
        follower.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("action", "others", "answer"),
    [
        ("report", [], "South Pole: no answer in time\n"),
        ("first", ["Cairo"], "Cairo: 28 °C\n"),
    ],
)
def test_what_nobody_waits_for_is_stopped(
    tmp_path: Path, action: str, others: list[str], answer: str
) -> None:
    with server(tmp_path) as printed:
        arguments = (place(tmp_path), action, "South Pole", *others)
        with running(tmp_path, "ask_weather.py", *arguments) as shown:
            assert list(shown) == [answer]
        assert next(printed) == "nobody waits for South Pole\n"


def test_where_there_is_no_server_a_line_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "ask_weather.py", place(tmp_path), "report", "Rome") as shown:
        (line,) = list(shown)
    assert line.startswith("ask_weather: ")
    assert f"{tmp_path}/s" in line


@pytest.mark.parametrize("action", ["report", "first"])
def test_places_are_needed(tmp_path: Path, action: str) -> None:
    with running(tmp_path, "ask_weather.py", place(tmp_path), action) as shown:
        assert "the following arguments are required: places" in shown.read()
