"""Which command an idle worker gets, and how many may wait."""

from __future__ import annotations

from typing import Any

import pytest

from wiredaemon.commands import Permission
from wiredaemon.net.workers.calls import StreamCall, ValueCall
from wiredaemon.net.workers.queue import CallQueue
from wiredaemon.repository.worker_calls import RECOVER, CallContext

CONTEXT = CallContext(repository=b"/srv/hg", permission=Permission.RO)


class NoPool:
    spool_budget: Any = None

    def cancel(self, call: Any) -> None:
        raise AssertionError(call)

    relieve: Any = None


def value() -> ValueCall:
    return ValueCall(NoPool(), CONTEXT, b"heads", {})


def stream(share: str | None = None) -> StreamCall:
    return StreamCall(NoPool(), CONTEXT, b"filesdata", {}, share=share, has_data=False)


def waiting(*calls: ValueCall | StreamCall, workers: int = 5, places: int = 4) -> CallQueue:
    made = CallQueue(workers, places)
    for call in calls:
        made.add(call)
    return made


def surplus(calls: CallQueue, call: ValueCall | StreamCall) -> object:
    """Let one more call wait, and return the one that must not."""
    calls.add(call)
    return calls.surplus(call)


def began(calls: CallQueue, *running: StreamCall) -> None:
    """Let streams run that have not waited for long."""
    for call in running:
        calls.add(call)
        calls.begin(call)


def test_values_come_first_then_streams_in_their_order() -> None:
    first, second, late = stream(), stream(), value()
    calls = waiting(first, second, late)
    assert [calls.next(), calls.remove(late)] == [late, True]
    assert [calls.next(), calls.remove(first)] == [first, True]
    assert calls.has_waiting_streams
    assert [calls.next(), calls.remove(second)] == [second, True]
    assert calls.next() is None
    assert not waiting().has_waiting_streams


def test_a_call_that_does_not_wait_cannot_be_removed() -> None:
    assert not waiting(value(), stream()).remove(value())


def test_a_call_waits_until_it_begins_or_is_removed() -> None:
    for call in (value(), stream()):
        calls = waiting(call)
        before = calls.has_waiting
        calls.begin(call)
        assert [before, calls.has_waiting] == [True, False]
        assert waiting(call).remove(call)


def test_streams_run_from_their_beginning_to_their_end() -> None:
    first, second, other = stream(), stream(), value()
    calls = waiting(first, second, other)
    for call in (other, first, second):
        calls.begin(call)
    assert calls.running == [first, second]
    calls.end(first)
    assert calls.running == [second]


@pytest.mark.parametrize(("workers", "streams"), [(5, 4), (2, 1), (1, 1)])
def test_one_worker_is_kept_for_values(workers: int, streams: int) -> None:
    late, last = value(), stream()
    calls = waiting(workers=workers)
    began(calls, *(stream() for _ in range(streams - 1)))
    waits = stream()
    calls.add(waits)
    assert calls.next() is waits
    began(calls, last)
    assert calls.next() is None
    calls.add(late)
    assert calls.next() is late


def test_one_share_runs_half_of_the_streams_and_others_pass_it() -> None:
    same, other = stream("10.0.0.1"), stream("10.0.0.2")
    calls = waiting()
    began(calls, stream("10.0.0.1"))
    calls.add(same)
    assert calls.next() is same
    calls.add(other)
    began(calls, stream("10.0.0.1"))
    assert calls.next() is other
    calls.remove(other)
    assert calls.next() is None


def test_each_kind_has_its_own_places_and_one_share_half_of_them() -> None:
    calls = waiting(*(stream() for _ in range(4)))
    assert surplus(calls, value()) is None
    late = stream()
    assert surplus(calls, late) is late
    crowd = waiting(*(stream("10.0.0.1") for _ in range(2)))
    late = stream("10.0.0.1")
    assert surplus(crowd, late) is late
    crowd.remove(late)
    assert surplus(crowd, stream("10.0.0.2")) is None
    assert surplus(crowd, stream()) is None


def test_where_no_more_may_wait_the_newest_of_whoever_has_most_is_refused() -> None:
    first = [stream("10.0.0.1") for _ in range(2)]
    calls = waiting(*first, stream("10.0.0.2"), stream("10.0.0.3"))
    assert surplus(calls, stream("10.0.0.4")) is first[1]


def test_who_has_least_running_comes_next() -> None:
    same, other = stream("10.0.0.1"), stream("10.0.0.2")
    calls = waiting(workers=9)
    began(calls, stream("10.0.0.1"))
    calls.add(same)
    calls.add(other)
    assert calls.next() is other
    calls.remove(other)
    assert calls.next() is same


def test_a_short_stream_needs_none_of_the_workers_for_long_ones() -> None:
    short = StreamCall(
        NoPool(), CONTEXT, b"web", {}, share="10.0.0.1", has_data=False, is_short=True
    )
    calls = waiting(workers=3)
    began(calls, stream("10.0.0.1"), stream("10.0.0.2"))
    calls.add(stream("10.0.0.3"))
    assert calls.next() is None
    calls.add(short)
    assert calls.next() is short
    calls.begin(short)
    assert short not in calls.running


def test_all_can_be_refused_at_once_and_none_waits_then() -> None:
    one, two = value(), stream()
    calls = waiting(two, one)
    refused: list[tuple[object, object]] = []
    for call in (one, two):
        call.result.addErrback(lambda failure: refused.append((failure.value, calls.next())))
    calls.refuse_all("stopped")
    assert [(str(error), after) for error, after in refused] == [("stopped", None)] * 2


# --- shares of repositories ---------------------------------------------------------------------


def write(repository: bytes, command: bytes = b"pushkey") -> ValueCall:
    context = CallContext(repository=repository, permission=Permission.RW)
    return ValueCall(NoPool(), context, command, {})


def clone(repository: bytes) -> StreamCall:
    context = CallContext(repository=repository)
    return StreamCall(NoPool(), context, b"filesdata", {}, share=None, has_data=False)


def test_one_repository_leaves_half_of_the_workers_to_the_others() -> None:
    sleeping: list[ValueCall | StreamCall] = [write(b"/a"), clone(b"/a"), write(b"/a")]
    other, read = clone(b"/b"), ValueCall(NoPool(), CONTEXT, b"heads", {})
    calls = waiting(*sleeping, other, read, workers=5, places=9)
    began_now: list[Any] = []
    while (call := calls.next()) is not None:
        calls.begin(call)
        began_now.append(call)
    assert set(began_now) == {sleeping[0], sleeping[2], other, read}
    calls.end(sleeping[0])
    assert calls.next() is sleeping[1]


def test_a_repository_that_is_alone_may_have_all_workers_but_the_one_for_values() -> None:
    writes = [write(b"/a") for _ in range(6)]
    calls = waiting(*writes, workers=5, places=9)
    for call in writes[:4]:
        assert calls.next() is call
        calls.begin(call)
    assert calls.next() is None
    read = value()
    calls.add(read)
    assert calls.next() is read


def test_recovery_never_waits_for_its_repositorys_share() -> None:
    calls = waiting(write(b"/b"), *[write(b"/a") for _ in range(4)], workers=3, places=9)
    while (call := calls.next()) is not None:
        calls.begin(call)
    recovery = write(b"/a", RECOVER)
    calls.add(recovery)
    assert calls.next() is recovery


def test_it_is_quiet_while_nothing_waits_and_few_long_ones_run() -> None:
    first, second, short = stream(), stream(), value()
    calls = waiting(first)
    assert not calls.is_quiet()
    assert not calls.is_quiet(beside_others=True)
    calls.begin(first)
    assert not calls.is_quiet()
    assert calls.is_quiet(beside_others=True)
    calls.add(short)
    assert not calls.is_quiet(beside_others=True)
    calls.begin(short)
    calls.add(second)
    calls.begin(second)
    assert not calls.is_quiet(beside_others=True)
    calls.end(first)
    calls.end(second)
    assert calls.is_quiet()
