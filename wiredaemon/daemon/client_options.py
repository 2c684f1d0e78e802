"""The options that subcommands which call servers share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DIGITS: Final = 20
"""Characters of the longest whole number that is read: more than any bound has."""


def add_output(
    parser: argparse.ArgumentParser,
    forms: Sequence[str] = ("pretty", "json"),
    text: str = "pretty (the default), or json for programs",
) -> None:
    """Add the option that says how the output is written."""
    parser.add_argument("--output", choices=list(forms), default="pretty", help=text)


def add_deadline(parser: argparse.ArgumentParser) -> None:
    """Add the option that ends calls."""
    parser.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=seconds_of,
        help="give up each call after this time; the server is told, and stops it (default: none)",
    )


def add_sending_options(sending: argparse.ArgumentParser) -> None:
    """Add the options that say what is sent."""
    sending.add_argument(
        "--json",
        metavar="FILE",
        help="arguments as one JSON object, beside those in words; - for standard input",
    )
    add_deadline(sending)
    sending.add_argument(
        "--encoding",
        metavar="NAME",
        action="append",
        type=encoding_of,
        default=[],
        help="content encoding to offer, for instance zlib; may be repeated, best first",
    )
    sending.add_argument(
        "--permission",
        choices=["ro", "rw"],
        help="what the URL of HTTP asks for (default: what the server says the command needs)",
    )


def add_server_options(server: argparse.ArgumentParser) -> None:
    """Add the options that all subcommands have: how to reach a server, and who calls."""
    server.add_argument(
        "--dialect",
        choices=list(DIALECTS),
        help="framing to speak (default: the server's best over HTTP, else 0006)",
    )
    trust = server.add_mutually_exclusive_group()
    trust.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="certificates to trust, PEM (default: those of the system)",
    )
    trust.add_argument(
        "--insecure", action="store_true", help="do not verify the server's certificate"
    )
    server.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds_of,
        help="how long the server may be silent (default: 30 for connecting, then for ever)",
    )
    server.add_argument(
        "--color",
        choices=["auto", "always", "never"],
        default="auto",
        help="colours in the output (default: on a terminal, unless NO_COLOR is set)",
    )
    _add_login_options(server)


def _add_login_options(server: argparse.ArgumentParser) -> None:
    """Add the options that say who calls."""
    login = server.add_argument_group(
        "login", "By default the user and the password of the URL, if there are any."
    )
    who = login.add_mutually_exclusive_group()
    who.add_argument("--user", metavar="NAME", help="log in by password")
    who.add_argument(
        "--token-file",
        metavar="FILE",
        help="log in by the token in the first line; - for standard input",
    )
    login.add_argument(
        "--password-file",
        metavar="FILE",
        help="the password is its first line; - for standard input (default: ask the terminal)",
    )
    login.add_argument(
        "--netrc", action="store_true", help="take the login of the host from ~/.netrc"
    )
    login.add_argument("--netrc-file", metavar="FILE", help="the same from another file")
    login.add_argument(
        "--plain-password",
        action="store_true",
        help="send password or token also over a connection that is not encrypted",
    )
    login.add_argument(
        "--cert", metavar="FILE", type=Path, help="client certificate, PEM, perhaps with its key"
    )
    login.add_argument("--key", metavar="FILE", type=Path, help="its key, PEM, not encrypted")


def whole(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to a most."""

    def number(text: str) -> int:
        # Python raises an error of its own for thousands of digits.
        read = int(text) if text.isdecimal() and len(text) <= _DIGITS else 0
        if not 1 <= read <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}")
        return read

    return number


def seconds_of(text: str) -> float:
    """Read a time."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    # NaN fails both comparisons.
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("must be a number of seconds, more than 0")
    return seconds


def encoding_of(text: str) -> str:
    """Read the name of a content encoding."""
    # Imported where it is asked for: --help is quick.
    from wiredaemon.wire.encodings import DECODERS  # noqa: PLC0415

    known = sorted(name.decode() for name in DECODERS)
    if text not in known:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(known)}")
    return text
