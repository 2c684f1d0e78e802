"""schemathesis reads our OpenAPI document, and calls a daemon by it, rightly and wrongly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
from openapi_spec_validator import validate
from support.configuration import EVERYBODY_WRITES, JSON_CALLS
from support.daemon import Daemon
from support.environment import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS: Final = '''
from wiredaemon.commands import Argument, ArgumentType as T, Permission, command

TYPES = {
    "bytes": Argument(type=T.BYTES, example=b"bytes"),
    "int": Argument(type=T.INT, default=0),
    "bool": Argument(type=T.BOOL, default=False),
    "float": Argument(type=T.FLOAT, default=0.5),
    "text": Argument(type=T.TEXT, default="text"),
    "maybe": Argument(type=T.INT, default=None),
    "one": Argument(type=T.BYTES, valid_values=frozenset({b"a", b"\\xff"}), default=b"a"),
}
CONTAINERS = {
    "list": Argument(type=T.LIST, default=()),
    "set": Argument(type=T.SET, default=frozenset()),
    "dict": Argument(type=T.DICT, default=None),
    "texts": Argument(type=T.LIST, elements=T.TEXT, default=()),
    "floats": Argument(type=T.DICT, elements=T.FLOAT, default=None),
    "some": Argument(type=T.SET, valid_values=frozenset({b"a", b"b"}), default=frozenset()),
}


@command("scalars", permission=Permission.RO, arguments=TYPES)
def scalars(context, **given):
    """Return the arguments, shown as Python has them."""
    return {name: repr(value) for name, value in given.items()}


@command("containers", permission=Permission.RW, arguments=CONTAINERS)
def containers(context, **given):
    return {name: repr(value) for name, value in given.items()}


@command("objects", permission=Permission.RO, arguments={"text": Argument(type=T.TEXT)})
def objects(context, text):
    yield text
    yield text


@command("data", permission=Permission.RO, has_data=True, arguments={"text": Argument(type=T.TEXT)})
async def data(context, text):
    return {text: len(await context.data.read())}
'''
CONFIGURATION: Final = JSON_CALLS + EVERYBODY_WRITES
CHECKS: Final = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "504"]
"""
"""A call may be late: the shortest deadline that the document allows is a millisecond."""


def run(
    folder: Path, port: int, examples: int, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis on a daemon, with the same calls each time."""
    schemathesis = shutil.which("schemathesis", path=sysconfig.get_path("scripts"))
    assert schemathesis is not None
    config = folder / "schemathesis.toml"
    config.write_text(CHECKS)
    url = f"http://127.0.0.1:{port}/json/openapi.json"
    fixed = ["--generation-deterministic", f"--max-examples={examples}"]
    return subprocess.run(
        [schemathesis, f"--config-file={config}", "run", url, *fixed, "--no-color", *options],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=100,
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "commands.py").write_text(COMMANDS, encoding="utf-8")
    with Daemon.start(CONFIGURATION, folder) as running:
        yield running


def test_the_document_is_valid(daemon: Daemon) -> None:
    with urlopen(f"http://127.0.0.1:{daemon.port()}/json/openapi.json") as answer:
        document = json.load(answer)
    validate(document)
    assert set(document["paths"]) == {
        *("/capabilities", "/scalars", "/containers", "/objects", "/data"),
    }


def test_all_that_the_document_allows_is_accepted_and_nothing_else(
    daemon: Daemon, tmp_path: Path
) -> None:
    finished = run(tmp_path, daemon.port(), 15)
    assert finished.returncode == 0, finished.stdout
    assert "Operations:       8 selected / 8 total" in finished.stdout


def test_the_commands_of_a_repository_answer_as_they_are_described(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "wiredaemon", "init", folder / "demo"],
        env=environment(),
        check=True,
        capture_output=True,
    )
    text = f'{CONFIGURATION}[paths]\n"/" = "data/repository"\n'
    (folder / "demo" / "commands.py").write_text(COMMANDS, encoding="utf-8")
    with Daemon.start(text, folder / "demo") as daemon:
        # Whether a revision or a file exists, no schema says; and a name that is not known is a
        # failure of the server, as it is in frames.
        unknown = "--exclude-checks=positive_data_acceptance,not_a_server_error"
        # Few calls of each of many commands, whose worker is slow on a machine that is busy.
        finished = run(tmp_path, daemon.port(), 3, [unknown])
    assert finished.returncode == 0, finished.stdout
