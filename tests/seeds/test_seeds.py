"""Both seeds, exchange by exchange, byte for byte, against a running `twistd wiredaemon`.

One daemon for each seed, started with every API switch off and one framing; all the rest comes
from its repository's hgrc, which is rewritten where the seed restarts its server. Each test puts
its own hgrc in place, so each can run alone and in any order.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest
from seeds.transcript import STAMPED_HEADERS, Exchange, Response, exchanges, load
from support.configuration import configuration
from support.daemon import Daemon
from support.repositories import make_repository, write_hgrc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.raw_http import RawConnection, RawResponse

SEEDS: Final = {dialect: exchanges(load(dialect)) for dialect in ("0002", "0003")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A daemon that speaks one dialect, and the repository it serves."""

    daemon: Daemon
    repository: Path

    def answer(self, connection: RawConnection, exchange: Exchange) -> RawResponse:
        """What the daemon answers with the exchange's hgrc in place."""
        write_hgrc(self.repository, exchange.hgrc)
        return connection.exchange(exchange.request(connection.authority))


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Gives the server of one dialect, started when it is first asked for."""
    with ExitStack() as running:

        @cache
        def server(dialect: str) -> Server:
            folder = tmp_path_factory.mktemp(f"seed-{dialect}")
            repository = make_repository(folder / "server")
            text = configuration(
                data=folder / "data",
                repository=repository,
                framings={"exp-http-v2-0001": [dialect]},
            )
            daemon = running.enter_context(Daemon.start(text, folder))
            return Server(daemon=daemon, repository=repository)

        yield server


def unstamped(response: RawResponse) -> Response:
    """A response without the headers whose values no seed can know."""
    return Response(
        status_line=response.status_line,
        headers=tuple(header for header in response.headers if header[0] not in STAMPED_HEADERS),
        chunks=None if response.chunks is None else tuple(response.chunks),
        body=response.body,
    )


def assert_as_recorded(response: RawResponse, exchange: Exchange) -> None:
    """Compare part by part, for the sake of a report to read, and then every byte."""
    assert unstamped(response) == exchange.response
    assert tuple(name for name, _ in response.headers[:2]) == STAMPED_HEADERS
    assert response.wire_without(STAMPED_HEADERS) == exchange.response.wire


@pytest.mark.parametrize(
    ("dialect", "exchange"),
    [
        pytest.param(dialect, exchange, id=f"{dialect}-{exchange.slug}")
        for dialect, recorded in SEEDS.items()
        for exchange in recorded
    ],
)
def test_the_daemon_answers_as_the_seed_says(
    serve: Callable[[str], Server], dialect: str, exchange: Exchange
) -> None:
    server = serve(dialect)

    with server.daemon.connect() as connection:
        response = server.answer(connection, exchange)

    assert_as_recorded(response, exchange)


@pytest.mark.parametrize("dialect", SEEDS)
def test_a_whole_seed_goes_over_one_connection_and_logs_no_error(
    serve: Callable[[str], Server], dialect: str
) -> None:
    # A byte too many behind a response would show in the next one; the second seed ends by
    # looking into the server's error log, and finds nothing.
    server = serve(dialect)

    with server.daemon.connect() as connection:
        for exchange in SEEDS[dialect]:
            assert_as_recorded(server.answer(connection, exchange), exchange)
        connection.end_input()
        assert connection.receive_to_end() == b""

    assert "Traceback" not in server.daemon.log
