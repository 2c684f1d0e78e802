"""``wiredaemon user``: the file of users and their passwords."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.bcrypt_hashes import hash_password, password_problem
from wiredaemon.accounts.editing import edit
from wiredaemon.accounts.files import AccountsFileError, read_text
from wiredaemon.accounts.htpasswd import parse_htpasswd
from wiredaemon.accounts.names import name_problem
from wiredaemon.accounts.tokens import parse_tokens
from wiredaemon.daemon.account_files import (
    AccountError,
    auth_of,
    note_if_known,
    run,
    say,
    with_line,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wiredaemon.accounts.config import AuthConfig

_MOST_READ: Final = 4096
"""Bytes of standard input that are looked at: far more than a password may have."""


def user(options: argparse.Namespace) -> int:
    """Run the subcommand and return the exit status."""
    return run(_ACTIONS[options.action], options)


def _add(options: argparse.Namespace) -> None:
    _, file = auth_of(options, "htpasswd")
    if problem := name_problem(options.name):
        raise AccountError(problem)
    if file.exists() and options.name in parse_htpasswd(file, read_text(file)):
        # Before a password is asked for, and once more under the file's lock.
        raise _exists(file, options.name)
    hashed = hash_password(_password(options))

    def change(text: str) -> str:
        if options.name in parse_htpasswd(file, text):
            raise _exists(file, options.name)
        return with_line(text, f"{options.name}:{hashed}")

    edit(file, change)
    say(f"added {options.name} to {file}")


def _remove(options: argparse.Namespace) -> None:
    auth, file = auth_of(options, "htpasswd")
    _replace(file, options.name, None)
    say(f"removed {options.name} from {file}")
    _note_tokens(auth, options.name)


def _list(options: argparse.Namespace) -> None:
    _, file = auth_of(options, "htpasswd")
    for name in parse_htpasswd(file, read_text(file), accepts_other_kinds=True):
        say(name)
    _note_wrong(file)


def _passwd(options: argparse.Namespace) -> None:
    _, file = auth_of(options, "htpasswd")
    if options.name not in parse_htpasswd(file, read_text(file), accepts_other_kinds=True):
        raise _missing(file, options.name)
    _replace(file, options.name, f"{options.name}:{hash_password(_password(options))}")
    say(f"changed the password of {options.name} in {file}")


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {
    "add": _add,
    "remove": _remove,
    "list": _list,
    "passwd": _passwd,
}


def _replace(file: Path, name: str, line: str | None) -> None:
    """Put a line in the place of a user's, or nothing; all other lines stay as they are."""
    if not file.exists():
        raise AccountsFileError(file, "there is no such file")

    def change(text: str) -> str:
        if name not in parse_htpasswd(file, text, accepts_other_kinds=True):
            raise _missing(file, name)
        changed: list[str] = []
        for old in text.split("\n"):
            if old.partition(":")[0].strip() != name:
                changed.append(old)
            elif line is not None:
                changed.append(line)
        return "\n".join(changed)

    edit(file, change)
    _note_wrong(file)


def _exists(file: Path, name: str) -> AccountError:
    return AccountError(
        f"{name} is in {file} already; `wiredaemon user passwd` changes the password"
    )


def _missing(file: Path, name: str) -> AccountError:
    return AccountError(f"{name} is not in {file}")


def _note_wrong(file: Path) -> None:
    """Say what the daemon would refuse the file for."""

    def check() -> None:
        parse_htpasswd(file, read_text(file))

    note_if_known(check)


def _note_tokens(auth: AuthConfig, name: str) -> None:
    """Say which tokens of a removed user go on being accepted."""
    file = auth.tokens
    if file is None or not file.exists():
        return

    def left() -> str | None:
        tokens = parse_tokens(file, read_text(file)).values()
        ids = ", ".join(token.id for token in tokens if token.user == name)
        many = f"tokens of {name} are still accepted: `wiredaemon token revoke` each of {ids}"
        return many if ids else None

    note_if_known(left)


def _password(options: argparse.Namespace) -> bytes:
    """Return the new password, from the terminal or from standard input.

    Raises:
        AccountError: There is none, or it cannot be used.
    """
    password = _read_line() if options.stdin else _ask(options.name)
    if problem := password_problem(password):
        raise AccountError(problem)
    return password


def _read_line() -> bytes:
    line = sys.stdin.buffer.read(_MOST_READ)
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _ask(name: str) -> bytes:
    if not sys.stdin.isatty():
        raise AccountError("there is no terminal to ask for a password on; --stdin reads one")
    try:
        password = getpass(f"New password of {name}: ")
        again = getpass("The same again: ")
    except EOFError:
        raise AccountError("no password was given") from None
    if password != again:
        raise AccountError("the two passwords differ; nothing was changed")
    return password.encode("utf-8", "surrogateescape")
