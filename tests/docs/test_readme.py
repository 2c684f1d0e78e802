"""The lines of the README that call a daemon are run against one with the README's own commands."""

from __future__ import annotations

import re
import sysconfig
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.documents import blocks
from support.environment import environment
from support.printing import printed_by
from support.repositories import make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

(COMMANDS,) = blocks("README.md", "python")
CALLS: Final = [text for text in blocks("README.md", "sh") if "127.0.0.1" in text]
PORTS: Final = {"8000": "http", "8010": "framed"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "greetings.py").write_text(COMMANDS, "utf-8")
    text = configuration(
        data=folder / "data",
        repository=make_repository(folder / "repository"),
        framings={"exp-http-v2-0003": ["0006"]},
        listen=("http", "framed"),
        load=(folder / "greetings.py",),
    )
    with Daemon.start(text.replace("false", "true"), folder) as running:
        yield running


def run(script: str, daemon: Daemon, folder: Path) -> str:
    """What a block prints, on ports of its own and without the environment of a checkout."""
    placed = re.sub(
        r"(?<=127\.0\.0\.1:)\d+", lambda found: str(daemon.port(PORTS[found[0]])), script
    )
    variables = environment()
    return printed_by(
        ["bash", "-e", "-o", "pipefail", "-c", placed.replace(".venv/bin/", "")],
        folder,
        {**variables, "PATH": f"{sysconfig.get_path('scripts')}:{variables['PATH']}"},
    )


@pytest.mark.parametrize(
    ("first", "printed"),
    [
        ("hg clone", "updating to branch default"),
        ("wiredaemon list", "heads(publiconly: bool = false)"),
        ("printf", "i   d   e   n   t   i   t"),
        ("wiredaemon call", "b'hello you'"),
    ],
)
def test_a_block_that_calls_the_daemon_is_answered(
    first: str, printed: str, daemon: Daemon, tmp_path: Path
) -> None:
    (block,) = [text for text in CALLS if text.removeprefix(".venv/bin/").startswith(first)]
    assert printed in run(block, daemon, tmp_path)
    # A comment shows what is printed.
    shown = re.findall(r"# (b'.*')$", block, re.MULTILINE)
    assert all(text in run(block, daemon, tmp_path) for text in shown)


def test_no_block_that_calls_the_daemon_is_left_out() -> None:
    assert len(CALLS) == 4
