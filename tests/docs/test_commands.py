"""The examples of docs/commands.md are one file of commands, loaded and called as it stands."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.documents import blocks
from support.embedding import calling, reactor
from support.repositories import make_repository
from support.responding import ensure_deferred
from twisted.internet.threads import deferToThreadPool

from wiredaemon import CommandError, ServerError, Service
from wiredaemon.commands.registry import load_commands
from wiredaemon.testing import ServiceTester

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA: Final = bytes(range(256))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The examples as a file."""
    made = tmp_path / "examples.py"
    made.write_text("".join(blocks("docs/commands.md", "python")), encoding="utf-8")
    return made


@pytest.fixture
def tester(file: Path) -> Iterator[ServiceTester]:
    service = Service()
    for command in load_commands([str(file)]):
        service.add(command)
    with ServiceTester(service) as made:
        yield made


@ensure_deferred
async def test_the_examples_give_what_they_say(tester: ServiceTester) -> None:
    assert await tester.call("greet") == b"hello you"
    assert await tester.call("greet", {"name": "ö"}) == "hello ö".encode()
    assert await tester.call("sum", data=[DATA, DATA]) == 2 * sum(DATA)
    assert tester.texts == [b"32640 so far\n", b"65280 so far\n"]
    assert [number async for number in tester.objects("count", {"to": 3})] == [0, 1, 2]
    assert await tester.call("digest", data=DATA) == hashlib.sha256(DATA).digest()
    assert await tester.call("divide", {"by": 0.5}) == b"2.0"
    assert await tester.call("join", {"words": ["a", "ö"]}) == "a-ö".encode()


@ensure_deferred
async def test_the_example_of_a_failure_fails_as_it_says(tester: ServiceTester) -> None:
    with pytest.raises(CommandError) as caught:
        await tester.call("divide", {"by": 0})
    assert (caught.value.message, caught.value.arguments) == (b"cannot divide by %s", (b"0.0",))
    with pytest.raises(ServerError, match="no repository is served"):
        await tester.call("headcount")


@ensure_deferred
async def test_docstrings_are_help(tester: ServiceTester) -> None:
    described: Any = await tester.call("capabilities")
    assert described[b"commands"][b"greet"][b"help"] == b"Return a greeting."


@ensure_deferred
async def test_the_example_of_0002_reads_and_writes_texts(file: Path) -> None:
    service = Service()
    for command in load_commands([str(file)]):
        service.add(command)
    tester = ServiceTester(service, dialect="0002")
    assert await tester.call("join", {"words": "a ö"}) == "a-ö".encode()


@ensure_deferred
async def test_the_daemon_loads_the_file_and_the_example_finds_its_repository(
    file: Path, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "repository")
    text = configuration(
        data=tmp_path / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        listen=("framed",),
        load=(file,),
    )
    pool = reactor().getThreadPool()

    def start() -> Daemon:
        return Daemon.start(text.replace("false", "true"), tmp_path)

    with await deferToThreadPool(reactor(), pool, start) as daemon:
        async with calling(f"hgrpc://127.0.0.1:{daemon.port('framed')}/") as connection:
            assert await connection.call(b"greet").result() == b"hello you"
            heads: Any = await connection.call(b"heads").result()
            assert await connection.call(b"headcount").result() == len(heads)
