"""``wiredaemon completion``: scripts for shells, made of the parser of the command line itself."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS: Final = ("bash", "fish", "zsh")
_MISSING: Final = (
    "wiredaemon: this needs shtab, which is not installed: pip install 'wiredaemon[completion]'\n"
)
_FILE: Final = "FILE"
_FOLDER: Final = "FOLDER"
"""The names under which help shows arguments that are paths."""


def add_completion(commands: Any, parser: argparse.ArgumentParser) -> None:  # noqa: ANN401 has no public name
    """Add ``completion`` to the subcommands of a parser.

    Args:
        commands: The subcommands.
        parser: The parser that they belong to, which has all of them when the script is made.
    """
    completion = commands.add_parser(
        "completion",
        help="print a script that completes command lines",
        description="Print a script with which a shell completes subcommands, options, their "
        "choices and paths. It asks no program while somebody types.",
        epilog="bash: wiredaemon completion bash >"
        " ~/.local/share/bash-completion/completions/wiredaemon; "
        "fish: wiredaemon completion fish > ~/.config/fish/completions/wiredaemon.fish; "
        "zsh: to the file _wiredaemon in a folder of $fpath.",
    )
    completion.add_argument("shell", choices=SHELLS, help="the shell")
    completion.set_defaults(run=partial(_complete, parser), ends_at_signals=True)


def parsers_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of all its subcommands."""
    yield parser
    for action in parser._actions:  # noqa: SLF001 has no public name
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 the same
            for below in action.choices.values():
                yield from parsers_of(below)


def _complete(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Print the script and return the exit status."""
    try:
        import shtab  # noqa: PLC0415 what only this needs is an extra
    except ImportError:
        sys.stderr.write(_MISSING)
        return 1
    kinds = {_FILE: shtab.FILE, _FOLDER: shtab.DIRECTORY}
    for each in parsers_of(parser):
        for action in each._actions:  # noqa: SLF001 the same
            if action.metavar in kinds:
                # The attribute that shtab looks for.
                action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
    sys.stdout.write(f"{shtab.complete(parser, options.shell)}\n")
    return 0
