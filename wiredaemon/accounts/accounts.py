"""All files of accounts together, as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.groups import parse_groups
from wiredaemon.accounts.htpasswd import Htpasswd, parse_htpasswd
from wiredaemon.accounts.tokens import parse_tokens
from wiredaemon.accounts.watched_file import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.accounts.config import AuthConfig
    from wiredaemon.accounts.tokens import StoredToken

_NOBODY: Final = Htpasswd({})


class Accounts:
    """The users, tokens and groups that the files name.

    Args:
        config: The files; they are read at once.

    Raises:
        AccountsFileError: One of them cannot be used.
    """

    def __init__(self, config: AuthConfig) -> None:
        self.reload(config)

    def reload(self, config: AuthConfig) -> None:
        """Read other files in place of these, or these once more.

        Raises:
            AccountsFileError: One of them cannot be used; then nothing is changed.
        """
        # All three are read before one is taken over: a mistake in the last must not leave two new
        # and one old.
        htpasswd = config.htpasswd and WatchedFile(config.htpasswd, parse_htpasswd)
        tokens = config.tokens and WatchedFile(config.tokens, parse_tokens)
        groups = config.groups and WatchedFile(config.groups, parse_groups)
        self._htpasswd, self._tokens, self._groups = htpasswd, tokens, groups
        self._watched = [each for each in (htpasswd, tokens, groups) if each]

    def refresh(self) -> bool:
        """Read again what has changed; return whether anything is new."""
        # All of them are looked at, also after one that has changed.
        changed = [each for each in self._watched if each.refresh()]
        return bool(changed)

    @property
    def has_passwords(self) -> bool:
        """There is a file of users who have passwords."""
        return self._htpasswd is not None

    @property
    def has_tokens(self) -> bool:
        """There is a file of tokens."""
        return self._tokens is not None

    @property
    def htpasswd(self) -> Htpasswd:
        """The users who have passwords."""
        return self._htpasswd.value if self._htpasswd else _NOBODY

    @property
    def tokens(self) -> Mapping[str, StoredToken]:
        """The tokens by their ids, expired ones too."""
        return self._tokens.value if self._tokens else {}

    def groups_of(self, user: str) -> frozenset[str]:
        """Return the groups that a user is in."""
        return self._groups.value.get(user, frozenset()) if self._groups else frozenset()
