"""Files, output and errors of ``wiredaemon user`` and ``wiredaemon token``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wiredaemon.accounts.config import AuthConfig
from wiredaemon.accounts.files import AccountsFileError
from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.toml_table import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path


class AccountError(Exception):
    """A subcommand did nothing; the text says why."""


def run(action: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Run an action of a subcommand and return the exit status: 0 done, 1 not, 130 interrupted."""
    try:
        action(options)
    except (AccountError, AccountsFileError, ConfigurationError) as error:
        note(str(error))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130
    return 0


def auth_of(options: argparse.Namespace, key: str) -> tuple[AuthConfig, Path]:
    """Return the files of accounts that are known, and the one that a subcommand is about.

    Args:
        options: With ``config`` or ``file``.
        key: The file's key in ``[auth]``.

    Raises:
        ConfigurationError: The configuration is wrong, or does not name the file.
    """
    if options.config is None:
        return AuthConfig(), options.file
    auth = load_config(options.config).auth
    file: Path | None = getattr(auth, key)
    if file is None:
        raise ConfigurationError(
            options.config,
            f"auth.{key}",
            "not set, so that there is no such file",
            f'a path, for instance {key} = "{key}" below [auth]',
        )
    return auth, file


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Write a line that is not the result."""
    sys.stderr.write(f"wiredaemon: {text}\n")


def note_if_known(find: Callable[[], str | None]) -> None:
    """Write a note about a file, or why it cannot be used: what was asked for is done already."""
    try:
        text = find()
    except AccountsFileError as error:
        text = str(error)
    if text:
        note(text)


def with_line(text: str, line: str) -> str:
    """Return a file's text with one more line."""
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}{line}\n"
