"""The arguments of ``wiredaemon user`` and ``wiredaemon token``."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# What runs them is imported when it runs, as by ``cli``.
# ruff: noqa: PLC0415

_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def add_user(subcommands: Any) -> None:  # noqa: ANN401 has no public name
    """Add ``user`` to the subcommands of a parser."""
    user = subcommands.add_parser(
        "user",
        help="add, remove and list users, change passwords",
        description="Change the file of users and their passwords. A running daemon reads it again "
        "by itself. Passwords are asked for on the terminal, or read with --stdin.",
    )
    actions = user.add_subparsers(title="actions", required=True, metavar="ACTION")
    add = _add_action(actions, "add", "add a user", _user)
    _add_name(add)
    _add_stdin(add)
    _add_name(_add_action(actions, "remove", "remove a user", _user))
    _add_action(actions, "list", "print the names of all users", _user)
    passwd = _add_action(actions, "passwd", "change the password of a user", _user)
    _add_name(passwd)
    _add_stdin(passwd)


def add_token(subcommands: Any) -> None:  # noqa: ANN401 has no public name
    """Add ``token`` to the subcommands of a parser."""
    token = subcommands.add_parser(
        "token",
        help="create, list and revoke bearer tokens",
        description="Change the file of bearer tokens, which holds a hash of each. A running "
        "daemon reads it again by itself.",
    )
    actions = token.add_subparsers(title="actions", required=True, metavar="ACTION")
    create = _add_action(
        actions, "create", "create a token and print it: it is never shown again", _token
    )
    _add_name(create)
    create.add_argument(
        "--read-only", action="store_true", help="a token that does not allow writing"
    )
    create.add_argument(
        "--expires",
        metavar="TIME",
        type=expiry,
        help="hours, days or weeks from now (12h, 30d, 8w), or a day in UTC (2030-12-31), at whose "
        "end it is refused (default: never)",
    )
    _add_action(actions, "list", "print all tokens: id, user, rights, expiry", _token)
    revoke = _add_action(actions, "revoke", "revoke a token", _token)
    revoke.add_argument("id", metavar="ID", help="of the token, as list prints it")


def _add_action(
    actions: Any,  # noqa: ANN401 has no public name
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    where = action.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration whose [auth] names the file"
    )
    where.add_argument("--file", metavar="FILE", type=Path, help="the file itself")
    action.set_defaults(run=run, action=name)
    return action


def _add_name(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", metavar="NAME", help="of the user")


def _add_stdin(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--stdin", action="store_true", help="read the password from standard input, one line"
    )


def expiry(text: str, now: datetime | None = None) -> datetime:
    """Return the time that ``--expires`` names.

    Args:
        text: A number followed by h, d or w, or a day.
        now: The present, in UTC; None for the clock's.

    Raises:
        ArgumentTypeError: It is neither.
    """
    present = datetime.now(UTC) if now is None else now
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if found and int(found[1]):
        return present + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time from now (12h, 30d, 8w) nor a day (2030-12-31)"
        ) from None
    if day <= present:
        raise argparse.ArgumentTypeError(f"{text} is over")
    return day


def _user(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.user_subcommand import user

    return user(options)


def _token(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.token_subcommand import token

    return token(options)
