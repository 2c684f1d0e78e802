"""A script for cron: it prints the heads that a repository has got since the last run.

    python new_heads.py --token-file token --state seen https://hg.example.org/tools

It prints nothing where nothing is new, so that cron sends no mail. Its exit status says of which
kind a failure is: 69 for a server that is away (the next run will do), 77 for a login that is
refused, 78 for a certificate that is not trusted, 74 for a file of its own, 70 for all others.
"""

import argparse
import os
import sys
from pathlib import Path

from wiredaemon import CommandError, ServerError
from wiredaemon.client import (
    ClientError,
    ClientOptions,
    ConnectError,
    ConnectionLostError,
    DeadlineError,
    HttpAnswerError,
    LoginRefusedError,
    SilentError,
    Token,
    UntrustedError,
    blocking,
)

SECONDS = 60
"""A run takes no longer, so that the next one does not meet it."""
NONE = bytes(20).hex()
"""The head of a repository without changesets."""


def read_heads(url, options):
    with blocking.connect(url, options) as connection:
        heads = connection.call("heads").result()
    return {head.hex() for head in heads} - {NONE}


def status_of(error):
    match error:
        case LoginRefusedError() | HttpAnswerError(status=401 | 403):
            return os.EX_NOPERM
        case UntrustedError():
            return os.EX_CONFIG
        case ConnectError() | ConnectionLostError() | SilentError() | DeadlineError():
            return os.EX_UNAVAILABLE
    return os.EX_SOFTWARE


def read_arguments():
    parser = argparse.ArgumentParser(description="Prints new heads of a repository.")
    parser.add_argument("url")
    parser.add_argument("--state", type=Path, required=True, help="file with the heads seen")
    parser.add_argument("--token-file", type=Path, help="without it, ~/.netrc has the login")
    parser.add_argument("--ca", type=Path, help="who vouches for the server")
    return parser.parse_args()


def main():
    arguments = read_arguments()
    token = arguments.token_file and Token(arguments.token_file.read_bytes().strip())
    options = ClientOptions(
        credentials=token, netrc=True, authorities=arguments.ca, connect_seconds=10, timeout=SECONDS
    )
    seen = set(arguments.state.read_text().split()) if arguments.state.exists() else set()
    heads = read_heads(arguments.url, options)
    for head in sorted(heads - seen):
        print("new:", head)
    # Only behind the printing, and at once: what fails before is printed by the next run.
    written = arguments.state.with_suffix(".new")
    written.write_text("\n".join(sorted(heads)))
    written.replace(arguments.state)


if __name__ == "__main__":
    try:
        main()
    except OSError as failure:
        print("new_heads:", failure, file=sys.stderr)
        sys.exit(os.EX_IOERR)
    except (ClientError, CommandError, ServerError) as failure:
        print("new_heads:", failure, file=sys.stderr)
        sys.exit(status_of(failure))
