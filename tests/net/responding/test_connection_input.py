"""What a command does never depends on how its input was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import peers
from support.kinds import at_once, crashes, every_dialect, generated, plain, taken_failures
from support.responding import (
    Responding,
    make_command,
)
from twisted.internet.defer import Deferred

from wiredaemon.protocol import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import LogEvent


async def never_done(_: Any) -> None:
    await Deferred()


@pytest.mark.parametrize("dialect", ["0003", "0005"])
@pytest.mark.parametrize("function", [plain, at_once, never_done, generated])
def test_a_command_in_front_of_broken_input_runs_in_whatever_read_it_came(
    dialect: str, function: Callable[..., Any]
) -> None:
    ran: list[int] = []

    def counted(context: Any) -> Any:
        ran.append(1)
        return function(context)

    request = b"".join(peers.request_frames(dialect, 1, b"counted"))
    broken = peers.frame(1, 0, b"", request_id=3)
    for reads in ([request + broken], [request, broken]):
        run = Responding(dialect, make_command(counted))
        run.receive(*reads)
        run.end()
        assert run.transport.wire == b""
        assert run.transport.outcomes == [
            RemoteProtocolError(
                "received command request frame with neither new nor continuation flags set"
            )
        ]
    assert ran == [1, 1]


@pytest.mark.parametrize("dialect", ["0003", "0005"])
def test_a_crash_in_front_of_broken_input_is_logged_all_the_same(
    dialect: str, logged: list[LogEvent]
) -> None:
    request = b"".join(peers.request_frames(dialect, 1, b"crashes"))
    run = Responding(dialect, make_command(crashes))
    run.receive(request + peers.frame(1, 0, b"", request_id=3))
    assert len(taken_failures(logged)) == 1
    assert len(run.transport.outcomes) == 1


@every_dialect
def test_a_request_that_is_not_admitted_in_front_of_broken_input_breaks_nothing(
    dialect: str,
) -> None:
    request = b"".join(peers.request_frames(dialect, 1, b"unknown"))
    run = Responding(dialect, half_duplex=False)
    run.receive(request + peers.frame(1, 0, b"", request_id=3))
    assert [type(outcome) for outcome in run.transport.outcomes] == [RemoteProtocolError]
