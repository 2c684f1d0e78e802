"""An answer that is one value."""

from __future__ import annotations

from typing import Final

import pytest
from support.peers import item
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.answers import ValueAnswer
from wiredaemon.protocol import RemoteProtocolError
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.payloads import OK_MAP, error_map

_case: Final = SynchronousTestCase()

ERROR: Final = item(error_map(b"%s broke", (b"it",)), canonical=False)


def value_answer(**limits: int) -> tuple[ValueAnswer, Deferred[object]]:
    result: Deferred[object] = Deferred()
    return ValueAnswer(Limits(**limits), result), result


def test_a_value_is_decoded_in_any_cuts() -> None:
    data = OK_MAP + item([b"a", {b"b": 1}], canonical=False)
    for cut in range(len(data)):
        answer, result = value_answer()
        answer.receive(data[:cut])
        answer.receive(data[cut:])
        answer.check_end()
        answer.finish()
        assert _case.successResultOf(result) == [b"a", {b"b": 1}]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0 results instead of one"), (b"\x01\x02", "2 results instead of one")],
)
def test_anything_but_one_value_is_an_error(content: bytes, message: str) -> None:
    answer, result = value_answer()
    answer.receive(OK_MAP + content)
    answer.check_end()
    answer.finish()
    assert str(_case.failureResultOf(result, ServerError).value) == message


def test_an_error_map_fails_a_value() -> None:
    answer, result = value_answer()
    answer.receive(ERROR)
    answer.check_end()
    answer.finish()
    error = _case.failureResultOf(result, CommandError).value
    assert isinstance(error, CommandError)
    assert (error.message, error.arguments) == (b"%s broke", (b"it",))


@pytest.mark.parametrize("content", [b"", OK_MAP[:-1], OK_MAP + b"\x41", b"\x01"])
def test_a_value_that_is_no_answer_or_is_cut_off_is_refused(content: bytes) -> None:
    answer, result = value_answer()
    answer.receive(content)
    with pytest.raises(RemoteProtocolError):
        answer.check_end()
    assert not result.called


def test_a_value_over_the_limit_is_refused_as_soon_as_it_crosses_it() -> None:
    answer, _ = value_answer(worker_result=10)
    answer.receive(bytes(10))
    with pytest.raises(RemoteProtocolError, match=r" limit of 10 bytes \(worker_result\)$"):
        answer.receive(b"x")


def test_nothing_happens_to_a_result_that_was_cancelled() -> None:
    for end in (ValueAnswer.finish, lambda each: each.fail(ServerError("gone"))):
        answer, result = value_answer()
        result.cancel()
        answer.receive(OK_MAP + b"\x01")
        answer.check_end()
        end(answer)
        _case.failureResultOf(result, CancelledError)
