"""From a verified user to the login that the rest of the daemon sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.cred.portal import IRealm
from zope.interface import implementer

from wiredaemon.accounts.login import ILogin, Login, parse_avatar_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from zope.interface import Interface

    from wiredaemon.accounts.accounts import Accounts


@implementer(IRealm)
class LoginRealm:
    """Makes logins of avatar ids, with the groups that the user is in now."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def login_of(self, avatar_id: bytes) -> Login:
        """Return the login of an avatar id."""
        user, read_only = parse_avatar_id(avatar_id)
        return Login(user=user, groups=self._accounts.groups_of(user), read_only=read_only)

    def requestAvatar(  # noqa: D102 of IRealm
        self,
        avatarId: bytes | tuple[()],
        mind: object,  # noqa: ARG002 of IRealm
        *interfaces: type[Interface],
    ) -> tuple[type[Interface], Login, Callable[[], None]]:
        if ILogin not in interfaces or isinstance(avatarId, tuple):
            raise NotImplementedError("only logins of users are to be had here")
        return ILogin, self.login_of(avatarId), lambda: None
