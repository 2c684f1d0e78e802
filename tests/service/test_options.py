"""Who may do what in a service."""

from __future__ import annotations

from typing import Any

import pytest

from wiredaemon import Service
from wiredaemon.commands import Peer, Permission
from wiredaemon.net.hosting.access import authorize
from wiredaemon.service.options import access_of

NOBODY = Peer(address="127.0.0.1:1", is_secure=True)
ANN = Peer(address="127.0.0.1:1", is_secure=True, user="ann", groups=frozenset({"devs"}))
BOB = Peer(address="127.0.0.1:1", is_secure=True, user="bob")


def rights(peer: Peer, **options: Any) -> str:
    rules = access_of(**{"readers": None, "writers": None, "allow_plain": False, **options})
    return " ".join(one.value for one in Permission if authorize(rules, one, peer) is None)


def test_without_logins_everybody_may_do_everything() -> None:
    assert rights(NOBODY, has_logins=False) == "ro rw"


def test_with_logins_everybody_who_has_logged_in_may() -> None:
    assert rights(NOBODY, has_logins=True) == ""
    assert rights(ANN, has_logins=True) == "ro rw"


def test_the_refusal_of_who_has_not_logged_in_asks_for_a_login() -> None:
    rules = access_of(None, None, has_logins=True, allow_plain=False)
    denial = authorize(rules, Permission.RO, NOBODY)
    assert denial is not None
    assert (denial.status, denial.login_helps) == (401, True)


def test_lists_name_users_and_groups() -> None:
    lists = {"has_logins": True, "readers": ["*"], "writers": ["@devs"]}
    assert rights(NOBODY, **lists) == "ro"
    assert rights(ANN, **lists) == "ro rw"
    assert rights(BOB, **lists) == "ro"
    assert rights(BOB, has_logins=True, readers=["ann"]) == ""


def test_an_empty_list_lets_nobody_in() -> None:
    assert rights(ANN, has_logins=True, readers=[], writers=[]) == ""
    assert rights(ANN, has_logins=True, writers=[]) == "ro"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"limits": 5}, "limits are Limits, not 5"),
        ({"authenticate": "ann"}, "logins are checked by a function, not 'ann'"),
        ({"authenticate_token": 5}, "logins are checked by a function, not 5"),
    ],
)
def test_options_of_another_type_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Service(**options)


@pytest.mark.parametrize("given", ["ann", [b"ann"], [None]])
def test_what_is_no_list_of_texts_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="readers are a list of texts"):
        access_of(given, None, has_logins=True, allow_plain=False)
