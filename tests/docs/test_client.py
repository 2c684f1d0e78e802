"""The examples of docs/client.md are run as they stand there, against a real daemon."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.documents import blocks, run_blocks
from support.embedding import calling
from support.environment import ROOT
from support.responding import ensure_deferred
from twisted.internet.threads import deferToThread

from wiredaemon import client
from wiredaemon.client import ClientError, ClientOptions, aio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wiredaemon.client import Connection

TEXT: Final = (ROOT / "docs" / "client.md").read_text("utf-8")
COMMANDS, *SNIPPETS = blocks("docs/client.md", "python")


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The URLs of a daemon with the commands of the document, by their schemes."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "greetings.py").write_text(COMMANDS, encoding="utf-8")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ["0006"]},
        listen=("http", "framed"),
        load=(folder / "greetings.py",),
    )
    with Daemon.start(text.replace("false", "true"), folder) as daemon:
        yield {
            "http": f"http://127.0.0.1:{daemon.port('http')}/",
            "hgrpc": f"hgrpc://127.0.0.1:{daemon.port('framed')}/",
        }


async def run_snippets(connection: Connection) -> dict[str, Any]:
    """Run the pieces of programs one behind the other, with ``await`` as in a coroutine."""
    names: dict[str, Any] = {"connection": connection, "__name__": "client"}
    await run_blocks(SNIPPETS, "client.md", names)
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
async def test_pieces_of_programs_run_in_both_loops(urls: Mapping[str, str], kind: str) -> None:
    url = urls[kind]

    async def main() -> dict[str, Any]:
        async with await aio.connect(url) as connection:
            return await run_snippets(connection)

    async with calling(url) as connection:
        check_names(await run_snippets(connection))
    check_names(await deferToThread(lambda: asyncio.run(main())))


def rows_of(heading: str) -> list[str]:
    """The first cell of each row of the table behind a heading."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n#")[0]
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
