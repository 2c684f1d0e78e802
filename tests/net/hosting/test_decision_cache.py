"""Decisions that are remembered: for the same settings, user, security and question only."""

from __future__ import annotations

from typing import Final

import pytest
from support.web import settings_of

from wiredaemon.commands import Peer
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.hosting.decision_cache import DecisionCache

SETTINGS: Final = settings_of()
ALICE: Final = Peer(address="192.168.1.1:1", user="alice", is_secure=True)


def remembering(most: int = 8) -> DecisionCache[str]:
    cache: DecisionCache[str] = DecisionCache(most)
    cache.remember(SETTINGS, ALICE, b"heads", "granted")
    return cache


def test_a_decision_is_found_again_from_any_address() -> None:
    cache = remembering()
    assert cache.find(SETTINGS, ALICE, b"heads") == "granted"
    elsewhere = Peer(address="192.168.1.2:2", user="alice", is_secure=True)
    assert cache.find(SETTINGS, elsewhere, b"heads") == "granted"


@pytest.mark.parametrize(
    "peer",
    [
        Peer(address=ALICE.address, user="alice", is_secure=False),
        Peer(address=ALICE.address, user="bob", is_secure=True),
        Peer(address=ALICE.address, user=None, is_secure=True),
        Peer(address=ALICE.address, user="", is_secure=True),
        Peer(address=ALICE.address, user="alice", is_secure=True, groups=frozenset({"devs"})),
        Peer(address=ALICE.address, user="alice", is_secure=True, read_only=True),
    ],
)
def test_what_was_decided_for_one_peer_serves_no_other(peer: Peer) -> None:
    cache = remembering()
    assert cache.find(SETTINGS, peer, b"heads") is None
    cache.remember(SETTINGS, peer, b"heads", "refused")
    assert cache.find(SETTINGS, peer, b"heads") == "refused"
    assert cache.find(SETTINGS, ALICE, b"heads") == "granted"


def test_a_decision_answers_its_own_question_only() -> None:
    cache = remembering()
    assert cache.find(SETTINGS, ALICE, b"branchmap") is None


@pytest.mark.parametrize(
    "changed", [settings_of(), settings_of(access=AccessRules(deny_read=("*",)))]
)
def test_new_settings_need_a_new_decision_even_if_they_say_the_same(changed: object) -> None:
    assert isinstance(changed, type(SETTINGS))
    cache = remembering()
    assert cache.find(changed, ALICE, b"heads") is None
    cache.remember(changed, ALICE, b"heads", "refused")
    assert cache.find(changed, ALICE, b"heads") == "refused"
    assert cache.find(SETTINGS, ALICE, b"heads") is None


def test_the_decision_that_was_remembered_first_makes_room_for_one_too_many() -> None:
    cache = remembering(most=2)
    cache.remember(SETTINGS, ALICE, b"known", "granted")
    cache.remember(SETTINGS, ALICE, b"lookup", "granted")
    found = [cache.find(SETTINGS, ALICE, name) for name in (b"heads", b"known", b"lookup")]
    assert found == [None, "granted", "granted"]


def test_a_decision_that_is_made_anew_takes_no_second_place() -> None:
    cache = remembering(most=2)
    cache.remember(SETTINGS, ALICE, b"known", "granted")
    cache.remember(settings_of(), ALICE, b"known", "granted")
    assert cache.find(SETTINGS, ALICE, b"heads") == "granted"


def test_nothing_is_kept_where_nothing_may_be() -> None:
    assert remembering(most=0).find(SETTINGS, ALICE, b"heads") is None
