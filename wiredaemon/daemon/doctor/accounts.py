"""Examines the files of accounts: every wrong line, what they hold, who may read them."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.files import AccountsFileError, lines_of, read_text
from wiredaemon.accounts.groups import parse_groups
from wiredaemon.accounts.htpasswd import parse_htpasswd
from wiredaemon.accounts.tokens import parse_tokens
from wiredaemon.daemon.doctor.finding import error, fine, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding

MOST_LINES: Final = 100
"""Wrong lines of one file that are named."""

_READERS: Final[Mapping[str, Callable[[Path, str], object]]] = {
    "htpasswd": parse_htpasswd,
    "tokens": parse_tokens,
    "groups": parse_groups,
}


def examine_accounts(config: Config, now: datetime) -> Iterator[Finding]:
    """Yield what is to be said of users, tokens and groups. Blocks.

    Files that cannot be used are reported by ``daemon.check`` with their first wrong line; here
    come the others.

    Args:
        config: The configuration.
        now: The present, with its time zone.
    """
    for key, parse in _READERS.items():
        file: Path | None = getattr(config.auth, key)
        if file is None:
            continue
        try:
            text = read_text(file)
            parse(file, text)
        except AccountsFileError as first:
            if first.line:
                yield from _other_lines(f"auth.{key}", file, text, parse, first.line)
        else:
            yield fine(f"auth.{key}", f"{file} can be used: {_count(key, file, text, now)}")


def _other_lines(
    area: str, file: Path, text: str, parse: Callable[[Path, str], object], first: int
) -> Iterator[Finding]:
    found = 0
    for number, line in lines_of(text):
        if number <= first:
            continue
        try:
            parse(file, line)
        except AccountsFileError as wrong:
            found += 1
            if found > MOST_LINES:
                rest = f"{file}: more than {MOST_LINES} lines are wrong"
                yield error(area, rest, "mend those that are named first")
                return
            yield error(area, f"{file} line {number}: {wrong.problem}", "mend or remove the line")


def _count(key: str, file: Path, text: str, now: datetime) -> str:
    if key == "tokens":
        tokens = parse_tokens(file, text).values()
        expired = sum(token.is_expired(now.timestamp()) for token in tokens)
        return f"{len(tokens)} tokens, {expired} of them expired"
    count = sum(1 for _ in lines_of(text))
    return f"{count} users, all hashes of bcrypt" if key == "htpasswd" else f"{count} groups"


def examine_secrets(config: Config) -> Iterator[Finding]:
    """Yield files that others may read or write, although that gives them rights. Blocks."""
    secret = {
        "auth.htpasswd": config.auth.htpasswd,
        "auth.tokens": config.auth.tokens,
        "tls.private_key": config.tls.private_key,
    }
    trusted = {
        **secret,
        "configuration": config.file,
        "auth.groups": config.auth.groups,
        "tls.client_ca": config.tls.client_ca,
    }
    for area, file in trusted.items():
        try:
            mode = 0 if file is None else file.stat().st_mode
        except OSError:
            continue  # reported already
        if area in secret and mode & stat.S_IROTH:
            text = f"everybody on this machine may read {file}"
            yield warning(area, text, f"chmod o-rwx {file}")
        if mode & stat.S_IWOTH:
            text = f"everybody on this machine may write {file}"
            yield warning(area, text, f"chmod o-w {file}")
