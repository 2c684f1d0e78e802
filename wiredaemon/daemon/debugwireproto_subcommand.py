"""``wiredaemon debugwireproto``: the debug client tool on standard input and output.

Exit statuses: 0 done, 1 and 255 not done as of `ToolError`.

Source: client-tool, section 1.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from wiredaemon.debugtool.eras import ERAS, NEWEST
from wiredaemon.debugtool.errors import ToolError
from wiredaemon.debugtool.script import LARGEST_SCRIPT
from wiredaemon.debugtool.tool import HTTP1, HTTP2, RAW, Options, run
from wiredaemon.debugtool.transcript import Detail
from wiredaemon.wire.encodings import DECODERS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from wiredaemon.debugtool.eras import Era

_SSH: Final = ("ssh1", "ssh2")


def debugwireproto(options: argparse.Namespace) -> int:
    """Run the subcommand and return the exit status."""
    return run_tool(options, sys.stdin.buffer, sys.stdout.buffer, sys.stderr)


def run_tool(
    options: argparse.Namespace, script: BinaryIO, output: BinaryIO, errors: TextIO
) -> int:
    """Run a script and return the exit status.

    Args:
        options: The options of the command line.
        script: The script, read to its end.
        output: Receives the transcript.
        errors: Receives the error, if there is one.
    """
    try:
        checked = _check(options)
        run(script.read(LARGEST_SCRIPT + 1), output, checked)
    except ToolError as error:
        errors.write(f"abort: {error}\n")
        if error.hint:
            errors.write(f"({error.hint})\n")
        return error.status
    return 0


def _check(options: argparse.Namespace) -> Options:
    """Return the options of a run.

    Raises:
        ToolError: Something is missing, unknown or not supported.
    """
    if options.localssh:
        raise ToolError(
            "--localssh is not supported: wiredaemon speaks no SSH",
            "`wiredaemon serve` runs a server, whose http:// URL can be given",
        )
    if options.peer in _SSH:
        raise ToolError(f"--peer {options.peer} not supported with HTTP peers")
    if options.peer not in {RAW, HTTP1, HTTP2}:
        raise ToolError(
            "invalid value for --peer", f'valid values are "{RAW}", "{HTTP1}", and "{HTTP2}"'
        )
    if options.url is None:
        raise ToolError("unsupported connection configuration", "a URL is missing")
    # NaN fails both comparisons.
    if not 0 < options.timeout < math.inf:
        raise ToolError("invalid value for --timeout", "it must be more than 0")
    return Options(
        url=options.url,
        peer=options.peer,
        era=era_of(options),
        detail=_detail(options),
        shows_handshake=not options.nologhandshake,
        encodings=_encodings(options.encoding),
        seconds=options.timeout,
    )


def era_of(options: argparse.Namespace) -> Era:
    """Return the habits of the transcript's time, with the framing of the dialect.

    Raises:
        ToolError: One of the options has a value that is none of `ERAS`.
    """
    given = {"--dialect": options.dialect, "--transcript": options.transcript}
    for option, name in given.items():
        if name is not None and name not in ERAS:
            raise ToolError(f"invalid value for {option}", f"valid values are {', '.join(ERAS)}")
    framing = ERAS[options.dialect or options.transcript or NEWEST]
    transcript = ERAS[options.transcript or options.dialect or NEWEST]
    return replace(transcript, dialect=framing.dialect, api=framing.api)


def _detail(options: argparse.Namespace) -> Detail:
    if options.debug:
        return Detail.CALLS
    return Detail.BYTES if options.verbose else Detail.RESULTS


def _encodings(names: Sequence[str]) -> tuple[bytes, ...]:
    given = tuple(os.fsencode(name) for name in names)
    unknown = [name for name in given if name not in DECODERS]
    if unknown:
        known = ", ".join(name.decode() for name in DECODERS)
        raise ToolError("invalid value for --encoding", f"valid values are {known}")
    return given or tuple(DECODERS)
