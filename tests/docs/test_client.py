"""The examples of docs/client.md are run as they stand there, against a real daemon."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import trustme
from support.accounts import add_token, write_htpasswd
from support.configuration import configuration
from support.daemon import Daemon
from support.documents import blocks_of
from support.embedding import calling
from support.environment import environment
from support.repositories import make_repository, run_hg
from support.responding import ensure_deferred
from twisted.internet.threads import deferToThread

from wiredaemon import client
from wiredaemon.client import ClientError, ClientOptions, aio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wiredaemon.client import Connection

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "client.md"
TEXT: Final = DOCUMENT.read_text("utf-8")
BLOCKS: Final = blocks_of(DOCUMENT)
PYTHON: Final = [text for language, text in BLOCKS if language == "python"]
COMMANDS: Final = PYTHON[0]
PROGRAMS: Final = PYTHON[1:4]
SNIPPETS: Final = PYTHON[4:]
SESSIONS: Final = [text for language, text in BLOCKS if language == "console"]
OUTPUT: Final = next(text for language, text in BLOCKS if language == "text")


@dataclass(frozen=True)
class Site:
    """A daemon as the document has it, and the folder in which the examples are run."""

    folder: Path
    places: Mapping[str, str]
    """The URLs of the document, and those of the daemon."""

    def placed(self, text: str) -> str:
        for shown, real in self.places.items():
            text = text.replace(shown, real)
        return text

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program; what it prints and its errors are one text."""
        scripts = str(Path(sys.executable).parent)
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**environment(), "PATH": os.pathsep.join([scripts, os.environ["PATH"]])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def write_secrets(folder: Path) -> str:
    """Who can log in: the files that the examples name, and the configuration of the daemon."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "clients.pem")
    shown = authority.issue_cert("ann@example.org", common_name="ann")
    shown.private_key_pem.write_to_path(folder / "ann.key")
    (folder / "ann.pem").write_bytes(shown.cert_chain_pems[0].bytes())
    write_htpasswd(folder / "htpasswd", ann="secret")
    secrets = {"secret": b"secret\n", "token": add_token(folder / "tokens", "ann")[0]}
    for name, secret in secrets.items():
        (folder / name).write_bytes(secret)
        (folder / name).chmod(0o600)
    return (
        f'[auth]\nhtpasswd = "{folder}/htpasswd"\ntokens = "{folder}/tokens"\n'
        f'[tls]\nclient_ca = "{folder}/clients.pem"\n'
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "greetings.py").write_text(COMMANDS, encoding="utf-8")
    repository = make_repository(folder / "repository")
    (repository / "a").write_text("a\n")
    run_hg("commit", "-A", "-m", "a", "-u", "test", "-d", "0 0", folder=repository)
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ["0006"]},
        repository=repository,
        listen=("http", "https", "framed", "framed_tls"),
        load=(folder / "greetings.py",),
        more=write_secrets(folder),
    )
    with Daemon.start(text.replace("false", "true"), folder) as daemon:
        # It vouches for itself.
        shutil.copy(folder / "data" / "development-certificate.pem", folder / "ca.pem")
        shown = {
            "http": "http://127.0.0.1:8000/",
            "https": "https://127.0.0.1:8443/",
            "framed": "hgrpc://127.0.0.1/",
            "framed_tls": "hgrpcs://127.0.0.1/",
        }
        places = {
            url: f"{url.partition(':')[0]}://127.0.0.1:{daemon.port(name)}/"
            for name, url in shown.items()
        }
        yield Site(folder, places)


def commands_of(session: str) -> Iterator[tuple[str, str]]:
    """The commands of a terminal, and what they print; empty where that is not shown."""
    for part in session.removeprefix("$ ").split("\n$ "):
        command, _, output = part.partition("\n")
        yield command, output.strip("\n")


@pytest.mark.parametrize(
    ("command", "output"), [one for session in SESSIONS for one in commands_of(session)]
)
def test_a_command_line_prints_what_stands_below_it(site: Site, command: str, output: str) -> None:
    found = site.run("bash", "-o", "pipefail", "-c", site.placed(command))
    if output:
        assert found.stdout.rstrip("\n") == output
    else:
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=["twisted", "asyncio", "blocking"])
def test_a_program_prints_what_stands_below_it(site: Site, program: str) -> None:
    found = site.run(sys.executable, "-W", "error", "-c", site.placed(program))
    assert (found.returncode, found.stdout) == (0, OUTPUT)


async def run_snippets(connection: Connection) -> dict[str, Any]:
    """Run the pieces of programs one behind the other, with ``await`` as in a coroutine."""
    names: dict[str, Any] = {"connection": connection, "__name__": "client"}
    for snippet in SNIPPETS:
        code = compile(snippet, DOCUMENT.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ended = eval(code, names)  # noqa: S307 the document's own code
        if inspect.iscoroutine(ended):
            await ended
    return names


def check_names(names: dict[str, Any]) -> None:
    assert (names["needed"].name, names["kind"].name) == ("RO", "INT")
    assert names["counted"] == names["watcher"].positions[-1] == 5000
    assert names["greeting"] == b"hello you"
    assert names["late"] == "the deadline of the call has passed"
    assert names["refused"] == "missing required arguments: name"
    assert names["options"].credentials.user == "ann"


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_pieces_of_programs_run_in_both_loops(site: Site, kind: str) -> None:
    url = next(real for real in site.places.values() if real.startswith(f"{kind}:"))

    async def main() -> dict[str, Any]:
        async with await aio.connect(url) as connection:
            return await run_snippets(connection)

    async with calling(url) as connection:
        check_names(await run_snippets(connection))
    check_names(await deferToThread(lambda: asyncio.run(main())))


def rows_of(heading: str) -> list[str]:
    """The first cell of each row of the table behind a heading."""
    section = TEXT.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [row.split("`")[1] for row in rows]


def test_the_table_of_errors_has_all_of_them() -> None:
    errors = [
        name
        for name in client.__all__
        if isinstance(found := getattr(client, name), type) and issubclass(found, ClientError)
    ]
    assert sorted(rows_of("Errors")) == sorted([*errors, "CommandError", "ServerError"])


def test_the_table_of_options_has_all_of_them_in_their_order() -> None:
    assert rows_of("Options") == [field.name for field in fields(ClientOptions)]
