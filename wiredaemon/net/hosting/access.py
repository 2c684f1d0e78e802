"""Decides what a peer may do, by hgweb's rules, from settings and the peer alone.

Source: http, sections 2 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Peer
    from wiredaemon.repository.descriptions import Setting


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
                changes[name] = tuple(user.decode("utf-8", "replace") for user in value)
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSwitches:
    """The switches of the APIs that a repository offers over HTTP."""

    enabled: bool = True
    """Whether ``/api`` exists at all."""
    http_v2: bool = True
    debugreflect: bool = False

    def overridden_by(self, settings: Mapping[bytes, bool]) -> ApiSwitches:
        """Return the switches of a repository whose hgrc sets some of them."""
        return replace(self, **{key.decode("ascii"): on for key, on in settings.items()})


@dataclass(frozen=True, slots=True)
class Denial:
    """The reason of a refusal: an HTTP status and its reason phrase."""

    status: int
    message: bytes


_READ: Final = Denial(401, b"read not authorized")
_PULL: Final = Denial(401, b"pull not authorized")
_SECURE: Final = Denial(403, b"ssl required")
_PUSH: Final = Denial(401, b"push not authorized")


def authorize(rules: AccessRules, permission: Permission, peer: Peer) -> Denial | None:
    """Decide whether a peer has a permission; None grants it (http, section 5)."""
    denial = authorize_reading(rules, peer)
    if denial is not None:
        return denial
    if permission is Permission.RO:
        return None if rules.allow_pull else _PULL
    if rules.push_ssl and not peer.is_secure:
        return _SECURE
    if rules.deny_push and (not peer.user or _is_member(peer.user, rules.deny_push)):
        return _PUSH
    if not _is_member(peer.user, rules.allow_push):
        return _PUSH
    return None


def authorize_reading(rules: AccessRules, peer: Peer) -> Denial | None:
    """Decide whether a peer may see that a repository is there: its pages need no more."""
    if rules.deny_read and (not peer.user or _is_member(peer.user, rules.deny_read)):
        return _READ
    if rules.allow_read and not _is_member(peer.user, rules.allow_read):
        return _READ
    return None


def may_everybody_pull(rules: AccessRules) -> bool:
    """Return whether every peer may read, one without a user among them."""
    return rules.allow_pull and not rules.deny_read and rules.allow_read in {(), ("*",)}


def _is_member(user: str | None, names: tuple[str, ...]) -> bool:
    """``*`` alone is everybody; inside a longer list it is an ordinary name."""
    return names == ("*",) or (bool(user) and user in names)
