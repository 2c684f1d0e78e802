from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from wiredaemon.accounts.places import KnownPlaces, place_of


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("/run/wiredaemon.socket", "/run/wiredaemon.socket"),
        ("", ""),
    ],
)
def test_a_place_is_an_address_or_the_network_of_one_customer(address: str, place: str) -> None:
    assert place_of(address) == place


def test_a_place_stays_known_for_its_time() -> None:
    clock = Clock()
    known = KnownPlaces(10.0, 5, clock.seconds)
    known.add("ann", "a")
    clock.advance(9.5)
    assert ("ann", "a") in known
    assert ("ann", "b") not in known
    assert ("bob", "a") not in known
    clock.advance(0.5)
    assert ("ann", "a") not in known


def test_users_who_logged_in_last_are_kept() -> None:
    known = KnownPlaces(10.0, 2, Clock().seconds)
    for user in ("ann", "bob", "ann", "carl"):
        known.add(user, "a")
    assert [(user, "a") in known for user in ("ann", "bob", "carl")] == [True, False, True]


def test_a_user_at_many_places_makes_only_her_own_forgotten() -> None:
    known = KnownPlaces(10.0, 1000, Clock().seconds)
    known.add("ann", "home")
    for number in range(100):
        known.add("eve", str(number))
    assert ("ann", "home") in known
    assert [number for number in range(100) if ("eve", str(number)) in known] == [*range(84, 100)]
