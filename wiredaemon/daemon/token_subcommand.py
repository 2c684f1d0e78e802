"""``wiredaemon token``: the file of bearer tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.editing import edit
from wiredaemon.accounts.files import AccountsFileError, read_text
from wiredaemon.accounts.htpasswd import parse_htpasswd
from wiredaemon.accounts.names import name_problem
from wiredaemon.accounts.tokens import make_token, parse_tokens
from wiredaemon.daemon.account_files import (
    AccountError,
    auth_of,
    note,
    note_if_known,
    run,
    say,
    with_line,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from wiredaemon.accounts.config import AuthConfig
    from wiredaemon.accounts.tokens import StoredToken


def token(options: argparse.Namespace) -> int:
    """Run the subcommand and return the exit status."""
    return run(_ACTIONS[options.action], options)


def _create(options: argparse.Namespace) -> None:
    auth, file = auth_of(options, "tokens")
    if problem := name_problem(options.name):
        raise AccountError(problem)
    secrets: list[str] = []

    def change(text: str) -> str:
        tokens = parse_tokens(file, text)
        secret, stored = _make(options)
        while stored.id in tokens:
            secret, stored = _make(options)
        secrets.append(secret)
        return with_line(text, stored.encode())

    edit(file, change)
    say(secrets[0])
    note(f"this token of {options.name} is never shown again; {file} has only its hash")
    _note_unknown(auth, options.name)


def _make(options: argparse.Namespace) -> tuple[str, StoredToken]:
    return make_token(options.name, read_only=options.read_only, expires=options.expires)


def _list(options: argparse.Namespace) -> None:
    _, file = auth_of(options, "tokens")
    tokens = parse_tokens(file, read_text(file))
    width = max([len("USER"), *(len(each.user) for each in tokens.values())])
    say(f"{'ID':8}  {'USER':{width}}  {'RIGHTS':10}  EXPIRES")
    for each in tokens.values():
        rights = "read-only" if each.read_only else "read-write"
        say(f"{each.id:8}  {each.user:{width}}  {rights:10}  {_expiry_of(each)}")


def _expiry_of(stored: StoredToken) -> str:
    if stored.expires is None:
        return "never"
    when = f"{stored.expires:%Y-%m-%d %H:%M} UTC"
    return f"{when} (expired)" if stored.is_expired(time.time()) else when


def _revoke(options: argparse.Namespace) -> None:
    _, file = auth_of(options, "tokens")
    if not file.exists():
        raise AccountsFileError(file, "there is no such file")

    def change(text: str) -> str:
        if options.id not in parse_tokens(file, text):
            raise AccountError(f"there is no token {options.id} in {file}")
        return "\n".join(line for line in text.split("\n") if line.split()[:1] != [options.id])

    edit(file, change)
    say(f"revoked {options.id} in {file}")


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {
    "create": _create,
    "list": _list,
    "revoke": _revoke,
}


def _note_unknown(auth: AuthConfig, name: str) -> None:
    """Say that nobody of a name has a password: it may be a slip, or a user of certificates."""
    file = auth.htpasswd
    if file is None or not file.exists():
        return

    def unknown() -> str | None:
        is_known = name in parse_htpasswd(file, read_text(file))
        return None if is_known else f"{name} is not in {file}; the token is accepted all the same"

    note_if_known(unknown)
