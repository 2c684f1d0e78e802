"""Who may do what: http, section 5, row by row."""

from __future__ import annotations

from typing import Final

import pytest

from wiredaemon.commands import Peer, Permission
from wiredaemon.net.hosting.access import (
    AccessRules,
    ApiSwitches,
    Denial,
    authorize,
    authorize_reading,
)

READ: Final = Denial(401, b"read not authorized")
PULL: Final = Denial(401, b"pull not authorized")
SECURE: Final = Denial(403, b"ssl required")
PUSH: Final = Denial(401, b"push not authorized")

ALL: Final = ("*",)
RO, RW = Permission.RO, Permission.RW
BOTH: Final = pytest.mark.parametrize("permission", [RO, RW])


def decide(
    rules: AccessRules, permission: Permission, user: str | None = None, *, secure: bool = True
) -> Denial | None:
    return authorize(rules, permission, Peer(address="peer:1", user=user, is_secure=secure))


def refused(denial: Denial, user: str | None) -> Denial:
    """The same reason has another status where a login has been made."""
    return Denial(403, denial.message) if user else denial


def writable(
    *,
    allow_push: tuple[str, ...] = ALL,
    deny_push: tuple[str, ...] = (),
    allow_read: tuple[str, ...] = (),
    deny_read: tuple[str, ...] = (),
    allow_pull: bool = True,
) -> AccessRules:
    return AccessRules(
        allow_push=allow_push,
        deny_push=deny_push,
        allow_read=allow_read,
        deny_read=deny_read,
        allow_pull=allow_pull,
    )


# --- defaults ----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "", "ann"])
@pytest.mark.parametrize("secure", [False, True])
def test_by_default_everybody_may_pull(user: str | None, secure: bool) -> None:  # noqa: FBT001 parameter
    assert decide(AccessRules(), RO, user, secure=secure) is None


@pytest.mark.parametrize("user", [None, "", "ann"])
def test_by_default_nobody_may_push(user: str | None) -> None:
    assert decide(AccessRules(), RW, user, secure=False) == SECURE
    assert decide(AccessRules(), RW, user, secure=True) == refused(PUSH, user)


# --- row 1: deny_read --------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("names", "user", "denied"),
    [
        (ALL, None, True),
        (ALL, "ann", True),
        (("ann",), None, True),
        (("ann",), "", True),
        (("ann",), "ann", True),
        (("ann",), "bob", False),
        (("bob", "ann"), "ann", True),
        (("ann", "*"), "bob", False),
        (("ann", "*"), "*", True),
        (("Ann",), "ann", False),
    ],
)
def test_deny_read_refuses_its_members_and_whoever_has_no_name(
    permission: Permission,
    names: tuple[str, ...],
    user: str | None,
    denied: bool,  # noqa: FBT001 parameter
) -> None:
    assert decide(writable(deny_read=names), permission, user) == (
        refused(READ, user) if denied else None
    )


# --- row 2: allow_read -------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("names", "user", "denied"),
    [
        (ALL, None, False),
        (ALL, "ann", False),
        (("ann",), None, True),
        (("ann",), "", True),
        (("",), "", True),
        (("ann",), "ann", False),
        (("ann",), "bob", True),
        (("bob", "ann"), "ann", False),
        (("ann", "*"), "bob", True),
        (("ann", "*"), None, True),
    ],
)
def test_allow_read_refuses_whoever_is_not_its_member(
    permission: Permission,
    names: tuple[str, ...],
    user: str | None,
    denied: bool,  # noqa: FBT001 parameter
) -> None:
    assert decide(writable(allow_read=names), permission, user) == (
        refused(READ, user) if denied else None
    )


@BOTH
def test_deny_read_wins_over_allow_read(permission: Permission) -> None:
    rules = writable(deny_read=("ann",), allow_read=("ann", "bob"))
    assert decide(rules, permission, "ann") == refused(READ, "ann")
    assert decide(rules, permission, "bob") is None
    assert decide(rules, permission, "eve") == refused(READ, "eve")


# --- row 3: allow-pull -------------------------------------------------------------------------


def test_without_allow_pull_nobody_may_pull_and_push_is_not_affected() -> None:
    rules = writable(allow_push=("ann",), allow_pull=False)
    assert decide(rules, RO, "ann") == refused(PULL, "ann")
    assert decide(rules, RO, None) == PULL
    assert decide(rules, RW, "ann") is None


def test_read_is_decided_before_pull() -> None:
    assert decide(writable(deny_read=ALL, allow_pull=False), RO, "ann") == refused(READ, "ann")
    assert decide(writable(allow_read=("bob",), allow_pull=False), RO, "ann") == refused(
        READ, "ann"
    )


@pytest.mark.parametrize(
    "rules", [AccessRules(deny_push=ALL), AccessRules(allow_push=()), AccessRules(push_ssl=True)]
)
def test_the_rules_for_pushing_do_not_touch_pulling(rules: AccessRules) -> None:
    assert decide(rules, RO, None, secure=False) is None


# --- row 5: push_ssl ---------------------------------------------------------------------------


def test_push_ssl_requires_tls_unless_it_is_off() -> None:
    assert decide(AccessRules(allow_push=ALL), RW, secure=False) == SECURE
    assert decide(AccessRules(allow_push=ALL), RW, secure=True) is None
    assert decide(AccessRules(allow_push=ALL, push_ssl=False), RW, secure=False) is None


def test_read_is_decided_before_tls_and_tls_before_push() -> None:
    assert decide(writable(deny_read=ALL), RW, secure=False) == READ
    assert decide(writable(allow_read=("bob",)), RW, "ann", secure=False) == refused(READ, "ann")
    assert decide(writable(deny_push=ALL), RW, secure=False) == SECURE
    assert decide(writable(allow_push=()), RW, secure=False) == SECURE


# --- rows 6 and 7: deny_push, allow-push -------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "user", "denied"),
    [
        (ALL, None, True),
        (ALL, "ann", True),
        (("ann",), None, True),
        (("ann",), "", True),
        (("ann",), "ann", True),
        (("ann",), "bob", False),
        (("ann", "*"), "bob", False),
    ],
)
def test_deny_push_refuses_its_members_and_whoever_has_no_name(
    names: tuple[str, ...],
    user: str | None,
    denied: bool,  # noqa: FBT001 parameter
) -> None:
    assert decide(writable(deny_push=names), RW, user) == (refused(PUSH, user) if denied else None)


@pytest.mark.parametrize(
    ("names", "user", "denied"),
    [
        ((), None, True),
        ((), "ann", True),
        (ALL, None, False),
        (ALL, "", False),
        (ALL, "ann", False),
        (("ann",), None, True),
        (("ann",), "", True),
        (("ann",), "ann", False),
        (("ann",), "bob", True),
        (("bob", "ann"), "ann", False),
        (("ann", "*"), "bob", True),
        (("ann", "*"), None, True),
        (("*", "*"), "ann", True),
    ],
)
def test_allow_push_refuses_whoever_is_not_its_member(
    names: tuple[str, ...],
    user: str | None,
    denied: bool,  # noqa: FBT001 parameter
) -> None:
    assert decide(writable(allow_push=names), RW, user) == (refused(PUSH, user) if denied else None)


def test_deny_push_wins_over_allow_push() -> None:
    rules = writable(allow_push=("ann", "bob"), deny_push=("ann",))
    assert decide(rules, RW, "ann") == refused(PUSH, "ann")
    assert decide(rules, RW, "bob") is None


# --- groups ------------------------------------------------------------------------------------


def grouped(*groups: str, user: str | None = "ann", read_only: bool = False) -> Peer:
    return Peer(
        address="peer:1",
        user=user,
        groups=frozenset(groups),
        read_only=read_only,
        is_secure=True,
    )


@pytest.mark.parametrize("permission", [RO, RW])
def test_a_group_in_a_list_stands_for_its_members(permission: Permission) -> None:
    rules = writable(allow_push=("bob", "@devs"), allow_read=("@devs", "@guests"))
    assert authorize(rules, permission, grouped("devs", "others")) is None
    assert authorize(rules, permission, grouped("others")) == refused(READ, "ann")
    assert authorize(rules, permission, grouped("@devs")) == refused(READ, "ann")
    assert authorize(rules, permission, grouped("Devs")) == refused(READ, "ann")


@pytest.mark.parametrize("permission", [RO, RW])
def test_a_member_of_a_denied_group_is_denied(permission: Permission) -> None:
    rules = writable(allow_read=("ann",), deny_read=("@out",))
    assert authorize(rules, permission, grouped("devs")) is None
    assert authorize(rules, permission, grouped("devs", "out")) == refused(READ, "ann")
    rules = writable(allow_push=("ann",), deny_push=("@out",))
    assert authorize(rules, RW, grouped("out")) == refused(PUSH, "ann")


def test_a_user_whose_name_looks_like_a_group_has_no_rights_of_it() -> None:
    rules = writable(allow_push=("@devs",))
    assert authorize(rules, RW, grouped(user="@devs")) == refused(PUSH, "@devs")


def test_groups_without_a_user_are_no_login() -> None:
    rules = writable(allow_push=("@devs",))
    assert authorize(rules, RW, grouped("devs", user=None)) == PUSH


# --- logins that may only read -----------------------------------------------------------------


@pytest.mark.parametrize("names", [("*",), ("ann",), ("@devs",)])
def test_a_login_that_may_only_read_never_writes(names: tuple[str, ...]) -> None:
    peer = grouped("devs", read_only=True)
    rules = writable(allow_push=names, allow_read=names)
    assert authorize(rules, RO, peer) is None
    message = b"push not authorized: this login may only read"
    assert authorize(rules, RW, peer) == Denial(403, message)


# --- where a login would help ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "permission", "helps"),
    [
        (writable(allow_read=("ann",)), RO, True),
        (writable(allow_read=("@devs",)), RW, True),
        (writable(deny_read=("ann",)), RO, True),
        (writable(deny_read=ALL), RO, False),
        (writable(allow_pull=False), RO, False),
        (writable(allow_push=()), RW, False),
        (writable(allow_push=("ann",)), RW, True),
        (writable(deny_push=("ann",)), RW, True),
        (writable(deny_push=ALL), RW, False),
        (writable(deny_push=("ann",), allow_push=()), RW, False),
    ],
)
def test_a_login_helps_where_a_user_may_what_nobody_else_may(
    rules: AccessRules,
    permission: Permission,
    helps: bool,  # noqa: FBT001 parameter
) -> None:
    denial = decide(rules, permission)
    assert denial is not None
    assert (denial.status, denial.login_helps) == (401, helps)
    denied = decide(writable(allow_read=("bob",)), permission, "ann")
    assert denied is not None
    assert (denied.status, denied.login_helps) == (403, False)


def test_tls_is_asked_for_before_a_login() -> None:
    denial = decide(AccessRules(allow_push=("ann",)), RW, secure=False)
    assert denial == SECURE
    assert not denial.login_helps


# --- what a repository's hgrc changes ----------------------------------------------------------


def test_a_repository_overrides_what_its_hgrc_sets_and_nothing_else() -> None:
    configured = AccessRules(allow_push=("ann",), deny_read=("eve",), allow_pull=False)
    assert configured.overridden_by({}) == configured
    assert configured.overridden_by(
        {
            b"push_ssl": False,
            b"allow-push": [b"*"],
            b"deny_read": [],
            b"allow-pull": True,
            b"allow_read": ["zoé".encode(), b"\xff"],
        }
    ) == AccessRules(
        push_ssl=False,
        allow_push=("*",),
        deny_read=(),
        allow_read=("zoé", "\ufffd"),
        allow_pull=True,
    )


def test_a_repository_overrides_the_switches_that_its_hgrc_sets() -> None:
    configured = ApiSwitches(enabled=False, http_v2=True, debugreflect=False)
    assert configured.overridden_by({}) == configured
    assert configured.overridden_by({b"enabled": True, b"debugreflect": True}) == ApiSwitches(
        enabled=True, http_v2=True, debugreflect=True
    )
    assert configured.overridden_by({b"http_v2": False}) == ApiSwitches(
        enabled=False, http_v2=False, debugreflect=False
    )


# --- reading alone -----------------------------------------------------------------------------


@pytest.mark.parametrize("names", [{"allow_pull": False}, {"allow_push": (), "deny_push": ALL}])
def test_reading_needs_no_right_to_pull_or_push(names: dict[str, object]) -> None:
    rules = AccessRules(**names)  # type: ignore[arg-type]
    assert authorize_reading(rules, Peer(address="peer:1")) is None


@pytest.mark.parametrize("user", [None, "", "ann", "bob", "eve"])
def test_who_may_not_read_may_do_nothing_and_is_told_the_same(user: str | None) -> None:
    rules = writable(allow_read=("ann", "bob"), deny_read=("bob",))
    peer = Peer(address="peer:1", user=user, is_secure=True)
    denial = authorize_reading(rules, peer)
    assert denial == (None if user == "ann" else refused(READ, user))
    assert {authorize(rules, each, peer) for each in (RO, RW)} == {denial}
