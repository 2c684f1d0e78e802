"""Remembers what was decided about a question, until the settings that decided it are replaced.

Deciding a request walks the rules of its host: the switches, the lists of users, the registry of
commands. Clients ask the same few questions again and again, so the answer is kept.

What was decided for one peer must never serve another one. The rules read five things, and all of
them are part of the key or compared with it: the settings in force, the user's name, the groups,
whether the login allows reading only, and whether the connection is secure. Whatever else a
decision depends on belongs into the question itself, for instance the host and the media types of
an HTTP request.

The site keeps one for the heads of HTTP requests, and each raw connection one for the commands that
it was admitted to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from wiredaemon.commands import Peer
    from wiredaemon.net.hosting.host import Settings

_Decision = TypeVar("_Decision")


class DecisionCache(Generic[_Decision]):
    """Decisions by the settings in force, the peer's login and security, and the question.

    Args:
        most: Decisions that are kept, those that were remembered last; 0 keeps none.
    """

    __slots__ = ("_decisions", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._decisions: dict[Hashable, tuple[Settings, _Decision]] = {}

    def find(self, settings: Settings, peer: Peer, question: Hashable) -> _Decision | None:
        """Return the decision, or None where that is unknown or no longer holds.

        Settings are compared by identity: a host makes a new object when anything in them changes,
        and comparing their contents would cost more than the decision. The cache holds the object,
        so its identity cannot pass to another one.
        """
        known = self._decisions.get(_key(peer, question))
        return known[1] if known is not None and known[0] is settings else None

    def remember(
        self, settings: Settings, peer: Peer, question: Hashable, decision: _Decision
    ) -> None:
        """Keep a decision; it takes the place of one under older settings.

        The decision that was remembered first makes room for one too many: a peer that asks many
        questions costs the others one walk through the rules each; no order of use is kept.
        """
        decisions = self._decisions
        decisions[_key(peer, question)] = settings, decision
        # A dict keeps the order of insertion, so its first key is the decision remembered first.
        if len(decisions) > self._most:
            del decisions[next(iter(decisions))]


def _key(peer: Peer, question: Hashable) -> Hashable:
    return question, peer.user, peer.is_secure, peer.groups, peer.read_only
