"""Which ids are in use, and which wait for an answer: server-state-machine 1.10 and 1.11."""

from __future__ import annotations

import pytest

from wiredaemon.protocol import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.open_requests import OpenRequests

BOTH_WAYS = pytest.mark.parametrize("keeps_ids", [True, False])


@BOTH_WAYS
def test_a_complete_request_waits_until_it_is_answered(*, keeps_ids: bool) -> None:
    requests = OpenRequests(2, 8192, keeps_ids=keeps_ids)
    assert (1 in requests, requests.is_answerable(1), requests.room) == (False, False, 2)
    requests.complete(1)
    assert (1 in requests, requests.is_answerable(1), requests.room) == (True, True, 1)
    requests.answer(1)
    assert requests.is_answerable(1) is False
    assert (1 in requests) is keeps_ids
    assert requests.room == (1 if keeps_ids else 2)


@BOTH_WAYS
def test_a_request_whose_data_follows_is_answerable_and_takes_no_room(*, keeps_ids: bool) -> None:
    requests = OpenRequests(1, 8192, keeps_ids=keeps_ids)
    requests.announce(1)
    assert (1 in requests, requests.is_answerable(1), requests.room) == (False, True, 1)
    requests.complete_data(1)
    assert (1 in requests, requests.is_answerable(1), requests.room) == (True, True, 0)


@BOTH_WAYS
def test_data_that_ends_behind_the_answer_puts_an_id_in_use_only_where_ids_are_kept(
    *, keeps_ids: bool
) -> None:
    requests = OpenRequests(1, 8192, keeps_ids=keeps_ids)
    requests.announce(1)
    requests.answer(1)
    assert (1 in requests, requests.is_answerable(1)) == (False, False)
    requests.complete_data(1)
    assert (1 in requests, requests.is_answerable(1)) == (keeps_ids, False)


@BOTH_WAYS
def test_one_request_too_many_is_refused_and_leaves_no_trace(*, keeps_ids: bool) -> None:
    requests = OpenRequests(1, 8192, keeps_ids=keeps_ids)
    requests.complete(1)
    text = r"requests not answered exceed the limit of 1 \(concurrent_requests\)"
    with pytest.raises(RemoteProtocolError, match=text):
        requests.complete(3)
    requests.announce(5)
    with pytest.raises(RemoteProtocolError, match=text):
        requests.complete_data(5)
    assert (3 in requests, requests.is_answerable(3)) == (False, False)
    assert (5 in requests, requests.is_answerable(5)) == (False, True)


def test_connections_that_keep_no_ids_do_not_share_any() -> None:
    first, second = OpenRequests(1, 8192, keeps_ids=False), OpenRequests(1, 8192, keeps_ids=False)
    first.announce(1)
    first.answer(1)
    first.complete_data(1)
    assert 1 not in second
    kept = OpenRequests(1, 8192, keeps_ids=True)
    kept.complete(1)
    kept.answer(1)
    assert 1 not in first


def test_only_an_open_request_may_be_answered() -> None:
    requests = OpenRequests(1, 8192, keeps_ids=True)
    requests.complete(1)
    requests.check_answerable(1)
    requests.answer(1)
    with pytest.raises(LocalProtocolError, match="request 1 is not waiting for an answer"):
        requests.check_answerable(1)


def test_large_requests_take_room_until_they_are_answered() -> None:
    requests = OpenRequests(10, 8192, keeps_ids=False)
    for request_id in (1, 3):
        requests.hold(request_id, 5000)
        requests.complete(request_id)
    assert requests.room == 0
    requests.answer(1)
    assert requests.room == 9


def test_where_nothing_is_answered_before_the_end_too_many_bytes_are_an_error() -> None:
    requests = OpenRequests(10, 8192, keeps_ids=True)
    requests.hold(1, 5000)
    with pytest.raises(RemoteProtocolError, match=r"8192 bytes \(request_bytes\)"):
        requests.hold(3, 5000)
