"""The credentials of the tools that call servers, read from the places that its options name.

A password or token is never an argument, because everybody on the machine can see those.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from wiredaemon.client import Password, Token
from wiredaemon.client.address import parse_url
from wiredaemon.client.credentials import from_netrc
from wiredaemon.daemon.call_files import STANDARD_INPUT, ArgumentError, check_standard_input
from wiredaemon.daemon.interrupts import raised_interrupts

if TYPE_CHECKING:
    import argparse

    from wiredaemon.client import Credentials

_MOST_READ: Final = 4096
"""Bytes of a file that are looked at: far more than a password or a token has."""


def read_login(options: argparse.Namespace) -> Credentials | None:
    """Return what to log in with; None if that is in the URL, or nowhere.

    Raises:
        ArgumentError: Options do not go together, or there is no password or token.
        OSError: A file cannot be read.
        UrlError: The URL is wrong.
    """
    if options.key is not None and options.cert is None:
        raise ArgumentError("--key needs --cert")
    check_standard_input(options)
    if options.token_file is not None:
        if options.password_file is not None:
            raise ArgumentError("--password-file is for --user")
        return Token(_first_line(options.token_file, "token"))
    address = parse_url(options.url)
    user = options.user or address.user
    if user is None and options.password_file is not None:
        raise ArgumentError("--password-file needs --user")
    file = _netrc(options)
    # A password in the URL, or in a file for this alone, is the more explicit one.
    if file is not None and options.password_file is None and address.password is None:
        found = from_netrc(file, replace(address, user=user))
        if found is not None:
            return found
    if user is None:
        return None
    if options.password_file is not None:
        return Password(user, _first_line(options.password_file, "password"))
    if address.password is not None and user == address.user:
        return None
    return Password(user, _ask(user, str(address)))


def _netrc(options: argparse.Namespace) -> Path | Literal[True] | None:
    if options.netrc_file is not None:
        return Path(options.netrc_file)
    return True if options.netrc else None


def _first_line(name: str, what: str) -> bytes:
    """Return the first line of a file, without its end."""
    if name == STANDARD_INPUT:
        # As far as the end of the line: what follows is left for others who read it.
        data = sys.stdin.buffer.readline(_MOST_READ)
    else:
        with Path(name).open("rb") as file:
            data = file.readline(_MOST_READ)
            _warn_of_readers(name, os.fstat(file.fileno()), what)
    line = data.rstrip(b"\r\n")
    if not line:
        raise ArgumentError(f"there is no {what} in {name}")
    return line


def _warn_of_readers(name: str, status: os.stat_result, what: str) -> None:
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        sys.stderr.write(f"wiredaemon: others on this machine can read the {what} in {name}\n")


def _ask(user: str, where: str) -> bytes:
    if not sys.stdin.isatty():
        raise ArgumentError(
            f"there is no terminal to ask for the password of {user}: give --password-file"
        )
    try:
        # The terminal shows again what is typed, whatever ends this.
        with raised_interrupts():
            password = getpass(f"Password of {user} at {where}: ")
    except EOFError:
        password = ""
    if not password:
        raise ArgumentError("no password was given")
    return os.fsencode(password)
