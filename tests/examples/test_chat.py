"""The chat and its three clients, each a program in a process of its own, over each transport."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.environment import LOOPBACK, ROOT, environment
from support.serving import write_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS: Final = ["http", "https", "hgrpc", "hgrpcs", "unix"]
CLIENTS: Final = ["twisted", "asyncio", "blocking"]
# What a client sends must not be held: the interpreter with Twisted and TLS has some 60 MB.
BOUNDED: Final = ["sh", "-c", 'ulimit -d 150000 && exec "$@"', "sh"]
"""Runs a program that may have 150 MB."""


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start one of the programs; what it prints is one text pipe."""
    return subprocess.Popen(
        [*BOUNDED, sys.executable, str(ROOT / "examples" / "event_stream" / name), *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lines_of(program: subprocess.Popen[str]) -> Iterator[str]:
    """What a program prints, as it prints it."""
    assert program.stdout is not None
    for line in program.stdout:
        yield line.rstrip("\n")


class Server:
    """The server, of one kind."""

    def __init__(self, kind: str, folder: Path) -> None:
        endpoint = f"unix:{folder}/s" if kind == "unix" else f"tcp:0:interface={LOOPBACK}"
        options = ["--http"] * kind.startswith("http")
        self._trust: list[str] = []
        if kind.endswith("s"):
            write_certificate(folder, LOOPBACK)
            options += ["--tls", str(folder / "cert.pem"), str(folder / "key.pem")]
            self._trust = ["--ca", str(folder / "ca.pem")]
        self.program = start("chat_server.py", *options, endpoint)
        self._lines = lines_of(self.program)
        self.url = next(self._lines).removeprefix("listening at ")

    def said(self, count: int) -> list[str]:
        """The next lines that it prints."""
        return [next(self._lines) for _ in range(count)]

    def client(self, client: str, *arguments: str) -> subprocess.Popen[str]:
        return start(f"client_{client}.py", *self._trust, self.url, *arguments)

    def run(self, client: str, *arguments: str) -> list[str]:
        """What a client prints, which ends well."""
        with self.client(client, *arguments) as program:
            output = list(lines_of(program))
        assert program.returncode == 0, output
        return output


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Server]:
    server = Server(kind, folder)
    with server.program:
        try:
            yield server
        finally:
            server.program.terminate()


@pytest.fixture(scope="module", params=KINDS)
def server(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(request.param, tmp_path_factory.mktemp("chat")) as made:
        assert made.url.startswith(f"{request.param}:")
        yield made


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_listens_until_it_has_heard_enough(server: Server, client: str) -> None:
    with server.client(client, "listen", "2") as listening:
        heard = lines_of(listening)
        assert next(heard) == "you are listening"
        for text in ("hello", "ö"):
            assert server.run(client, "say", text) == ["1 are listening"]
            assert next(heard) == text
        assert list(heard) == []
    assert listening.returncode == 0
    assert server.said(1) == ["a listener has left"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_command_is_stopped_with_its_call(server: Server, client: str) -> None:
    assert server.run(client, "stop") == ["the deadline of the call has passed"]
    first, *others = server.said(3)
    text, _, number = first.rpartition(" ")
    assert text == "count_slowly was stopped at"
    assert 3 <= int(number) < 1000
    assert others == ["sleep was stopped", "sleep was stopped"]


@pytest.mark.parametrize("client", CLIENTS)
def test_an_upload_shows_its_progress_on_both_sides(server: Server, client: str) -> None:
    output = server.run(client, "upload", "5")
    tenths = range(10, 110, 10)
    assert [line for line in output if "sent" in line] == [f"{part} % sent" for part in tenths]
    at_server = [line for line in output if "at the server" in line]
    assert at_server == [f"{part} % at the server" for part in tenths]
    assert output[-1] == "all 5000000 bytes are there"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", ["https", "hgrpc"])
def test_more_is_sent_than_a_program_may_hold(tmp_path: Path, client: str, kind: str) -> None:
    # Half of it would be too much; `make transfers` sends 500 MB.
    with serving(kind, tmp_path) as server:
        output = server.run(client, "upload", "200")
    assert output[-1] == "all 200000000 bytes are there"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_listener_that_is_interrupted_leaves_nothing_at_the_server(
    server: Server, client: str
) -> None:
    with server.client(client, "listen") as listening:
        heard = lines_of(listening)
        assert next(heard) == "you are listening"
        listening.send_signal(signal.SIGINT)
        output = "\n".join(heard)
    assert "never retrieved" not in output
    assert server.said(1) == ["a listener has left"]
