"""Decides what a peer may do, by hgweb's rules, from settings and the peer alone.

Beyond hgweb's rules, ``@name`` in a list stands for the members of a group, a login that allows
reading only is refused everything else, and a user who logged in and lacks a right gets 403: 401
would ask for a login (docs/decisions.md).

Source: http, sections 2 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Peer
    from wiredaemon.repository.descriptions import Setting


ALL: Final = ("*",)
"""The list that everybody is a member of, also whoever has not logged in."""

_UNAUTHORIZED, _FORBIDDEN = 401, 403
GROUP: Final = "@"
"""Stands in front of a group's name in lists of users."""

UNAVAILABLE: Final = b"the repository is not available; the server's log says why"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """The lists and switches of ``[web]`` by which hgweb decides, under its own names."""

    push_ssl: bool = True
    allow_push: tuple[str, ...] = ()
    deny_push: tuple[str, ...] = ()
    allow_read: tuple[str, ...] = ()
    deny_read: tuple[str, ...] = ()
    allow_pull: bool = True

    def overridden_by(self, settings: Mapping[bytes, Setting]) -> AccessRules:
        """Return the rules of a repository whose hgrc sets some of them."""
        changes: dict[str, bool | tuple[str, ...]] = {}
        for key, value in settings.items():
            name = key.decode("ascii").replace("-", "_")
            if isinstance(value, bool):
                changes[name] = value
            else:
                # A name that is no UTF-8 then equals nobody's.
                changes[name] = tuple(user.decode("utf-8", "replace") for user in value)
        return replace(self, **changes)  # type: ignore[arg-type]  # each value has the type of its field


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSwitches:
    """The switches of the APIs that a repository offers over HTTP."""

    enabled: bool = True
    """Whether ``/api`` exists at all."""
    http_v2: bool = True
    debugreflect: bool = False
    json: bool = False
    """Whether commands can be called with JSON, where there is an API at all."""

    def overridden_by(self, settings: Mapping[bytes, bool]) -> ApiSwitches:
        """Return the switches of a repository whose hgrc sets some of them."""
        return replace(self, **{key.decode("ascii"): on for key, on in settings.items()})


@dataclass(frozen=True, slots=True)
class Denial:
    """The reason of a refusal: an HTTP status and its reason phrase."""

    status: int
    message: bytes
    login_helps: bool = field(default=False, compare=False)
    """Some user may do what this peer may not, and the peer has not logged in."""


_READ: Final = b"read not authorized"
_PULL: Final = b"pull not authorized"
_PUSH: Final = b"push not authorized"
_READ_ONLY: Final = b"push not authorized: this login may only read"
SECURE: Final = b"ssl required"


def authorize(rules: AccessRules, permission: Permission, peer: Peer) -> Denial | None:
    """Decide whether a peer has a permission; None grants it (http, section 5)."""
    denial = authorize_reading(rules, peer)
    if denial is not None:
        return denial
    # From here on in the order of hgweb's own checks: the first that fails has its text sent (http,
    # section 5).
    if permission is Permission.RO:
        return None if rules.allow_pull else _denied(peer, _PULL, is_for_some=False)
    if rules.push_ssl and not peer.is_secure:
        return Denial(_FORBIDDEN, SECURE)
    if (rules.deny_push and (not peer.user or _is_member(peer, rules.deny_push))) or not _is_member(
        peer, rules.allow_push
    ):
        is_for_some = rules.deny_push != ALL and bool(rules.allow_push)
        return _denied(peer, _PUSH, is_for_some=is_for_some)
    if peer.read_only:
        return Denial(_FORBIDDEN, _READ_ONLY)
    return None


def authorize_reading(rules: AccessRules, peer: Peer) -> Denial | None:
    """Decide whether a peer may see that a repository is there: its pages need no more."""
    if (rules.deny_read and (not peer.user or _is_member(peer, rules.deny_read))) or (
        rules.allow_read and not _is_member(peer, rules.allow_read)
    ):
        return _denied(peer, _READ, is_for_some=rules.deny_read != ALL)
    return None


def may_everybody_pull(rules: AccessRules) -> bool:
    """Return whether every peer may read, one without a user among them."""
    return rules.allow_pull and not rules.deny_read and rules.allow_read in {(), ALL}


def _denied(peer: Peer, message: bytes, *, is_for_some: bool) -> Denial:
    """Return a denial; ``is_for_some`` says whether the lists allow the same to any user."""
    if peer.user:
        return Denial(_FORBIDDEN, message)
    return Denial(_UNAUTHORIZED, message, is_for_some)


def _is_member(peer: Peer, names: tuple[str, ...]) -> bool:
    """``*`` alone is everybody; inside a longer list it is an ordinary name."""
    if names == ALL:
        return True
    user = peer.user
    # A name that looks like a group must not give its user the rights of the group.
    if not user or user.startswith(GROUP):
        return False
    return user in names or any(f"{GROUP}{group}" in names for group in peer.groups)
