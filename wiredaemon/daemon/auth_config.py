"""The ``[auth]`` table of the configuration, and the check of the files that it names."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.accounts import Accounts
from wiredaemon.accounts.config import CERTIFICATE_USERS, AuthConfig
from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.daemon.toml_table import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wiredaemon.daemon.toml_table import Table

_KEYS: Final = tuple(one.name for one in fields(AuthConfig))
_FORMS: Final = {
    "htpasswd": "lines NAME:HASH with hashes of bcrypt; `wiredaemon user add` makes them",
    "tokens": "the file that `wiredaemon token create` makes",
    "groups": "lines NAME: USER USER, in UTF-8",
}


def read_auth(top: Table) -> AuthConfig:
    """Read the table; the files that it names are not looked at.

    Raises:
        ConfigurationError: A key is unknown or wrong.
    """
    table = top.table("auth", _KEYS)
    realm = table.values.get("realm", AuthConfig().realm)
    if not isinstance(realm, str) or not realm or not _can_be_quoted(realm):
        raise table.wrong("realm", 'printable ASCII, without " and \\')
    certificate_user = table.values.get("certificate_user", AuthConfig().certificate_user)
    if not isinstance(certificate_user, str) or certificate_user not in CERTIFICATE_USERS:
        raise table.wrong("certificate_user", " or ".join(f'"{one}"' for one in CERTIFICATE_USERS))
    return AuthConfig(
        htpasswd=table.path("htpasswd", ""),
        tokens=table.path("tokens", ""),
        groups=table.path("groups", ""),
        certificate_user=certificate_user,
        realm=realm,
    )


def _can_be_quoted(realm: str) -> bool:
    return realm.isascii() and realm.isprintable() and not {'"', "\\"} & {*realm}


def auth_mistakes(auth: AuthConfig, file: Path | None) -> Iterator[ConfigurationError]:
    """Read the files of accounts, and yield an error for each that cannot be used.

    Args:
        auth: The files.
        file: The configuration's own file, for the error.
    """
    for key in _FORMS:
        # Each by itself: a mistake in one hides none in another.
        alone = replace(AuthConfig(), **{key: getattr(auth, key)})
        try:
            Accounts(alone)
        except AccountsFileError as error:
            yield accounts_error(error, alone, file)


def accounts_error(
    error: AccountsFileError, auth: AuthConfig, file: Path | None
) -> ConfigurationError:
    """Return the error of a file of accounts as one of the configuration that names it."""
    key = next(key for key in _FORMS if getattr(auth, key) == error.file)
    return ConfigurationError(file, f"auth.{key}", str(error), _FORMS[key])
