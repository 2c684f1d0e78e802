"""Each command of docs/debugwireproto.md prints what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.documents import blocks
from support.environment import environment
from support.repositories import make_repository

from wiredaemon.debugtool.eras import ERAS
from wiredaemon.debugtool.tool import HTTP1, HTTP2, RAW

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "debugwireproto.md"
BLOCKS: Final = blocks("docs/debugwireproto.md", "console")
AUTHORITY: Final = "127.0.0.1:8000"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=make_repository(folder / "repository"),
    )
    with Daemon.start(text.replace("false", "true"), folder) as started:
        yield started


@pytest.mark.parametrize("block", BLOCKS)
def test_each_command_prints_what_the_page_shows(daemon: Daemon, block: str) -> None:
    found = re.fullmatch(r"\$ wiredaemon (.+) << EOF\n((?:> .*\n)+)> EOF\n((?:.*\n)+)", block)
    assert found is not None
    authority = f"127.0.0.1:{daemon.port()}"
    arguments = shlex.split(found[1].replace(AUTHORITY, authority))
    script = "".join(f"{line.removeprefix('> ')}\n" for line in found[2].splitlines())
    finished = subprocess.run(
        [sys.executable, "-m", "wiredaemon", *arguments],
        input=script.encode(),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    printed = finished.stdout.decode().replace(authority, AUTHORITY)
    # A star at the end of a line stands for what changes from run to run.
    shown = re.escape(found[3]).replace(r":\ \*" + "\\\n", ":.*\n")
    assert re.fullmatch(shown, printed), printed
    assert finished.returncode == 0


def test_the_page_names_all_peers_and_dialects() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert len(BLOCKS) == 3
    assert [name for name in (RAW, HTTP1, HTTP2) if f"--peer {name}" not in text] == []
    assert [name for name in ("0002", "0003", "0005", "0006") if f"`{name}`" not in text] == []
    assert list(ERAS) == ["0002", "0003", "0004", "0005", "0006"]
