from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.client.blocking_loop import BlockingLoop
from wiredaemon.client.blocking_names import Names, SocketAddress, in_turn, numeric_address

if TYPE_CHECKING:
    from collections.abc import Sequence

INFO = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))
FOUND = [SocketAddress(socket.AF_INET, ("192.0.2.1", 80))]


class Resolver:
    """A resolver that answers when it is told to."""

    def __init__(self, *answer: tuple[Any, ...]) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.may_answer = threading.Event()
        self.answer: Sequence[tuple[Any, ...]] = answer

    def __call__(self, *arguments: Any, type: int) -> Sequence[tuple[Any, ...]]:  # noqa: A002 as it is called
        self.asked.append((*arguments, type))
        self.may_answer.wait(30)
        if not self.answer:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answer


def test_a_host_is_found_in_a_thread_of_its_own_for_all_who_ask() -> None:
    loop, resolver = BlockingLoop(), Resolver(INFO)
    names = Names(loop, resolver)
    searches = [names.find("server.example", 80) for _ in range(2)]
    waiters = [search.waiter() for search in searches]
    loop.look()
    assert [waiter.is_awake for waiter in waiters] == [False, False]
    resolver.may_answer.set()
    loop.wait(waiters[1])
    assert waiters[0].is_awake
    assert [search.addresses() for search in searches] == [FOUND, FOUND]
    assert resolver.asked == [("server.example", 80, socket.SOCK_STREAM)]
    # What was found is not kept: the next one asks again.
    again = names.find("server.example", 80)
    loop.wait(again.waiter())
    assert again.addresses() == FOUND
    assert len(resolver.asked) == 2


def test_a_host_that_is_not_found_is_an_error_where_it_is_asked_for() -> None:
    loop, resolver = BlockingLoop(), Resolver()
    resolver.may_answer.set()
    search = Names(loop, resolver).find("server.example", 80)
    loop.wait(search.waiter())
    with pytest.raises(socket.gaierror, match="not known"):
        search.addresses()


def test_a_resolver_that_answers_too_late_harms_nobody() -> None:
    loop, resolver = BlockingLoop(), Resolver(INFO)
    names = Names(loop, resolver)
    # A name of its own: threads of other tests may not have ended.
    waiter = names.find("late.example", 80).waiter()
    names.drop()
    (thread,) = [each for each in threading.enumerate() if each.name == "find late.example"]
    resolver.may_answer.set()
    thread.join(20)
    assert not thread.is_alive()
    loop.look()
    assert not waiter.is_awake


@pytest.mark.parametrize(
    ("host", "family"), [("192.0.2.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_an_address_that_is_written_out_needs_no_resolver(host: str, family: int) -> None:
    (address,) = numeric_address(host, 80)
    assert address.family == family
    assert address.place[:2] == (host, 80)
    assert numeric_address("server.example", 80) == []


def test_families_take_turns_in_the_order_of_the_resolver() -> None:
    six = [SocketAddress(socket.AF_INET6, number) for number in range(3)]
    four = [SocketAddress(socket.AF_INET, number) for number in range(2)]
    assert in_turn([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert in_turn([*four, *six]) == [four[0], six[0], four[1], six[1], six[2]]
    assert in_turn([]) == []
