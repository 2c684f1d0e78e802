"""The console script: ``wiredaemon serve | init | user | ...``.

Owns arguments, output for people and exit statuses: 0 done, 1 not done, 2 wrong arguments, 130
interrupted, 141 nobody read the output.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from wiredaemon import __version__
from wiredaemon.daemon.account_arguments import add_token, add_user
from wiredaemon.daemon.check_config_subcommand import add_check_config
from wiredaemon.daemon.client_arguments import add_client_subcommands
from wiredaemon.daemon.completion_subcommand import add_completion, parsers_of
from wiredaemon.daemon.debugwireproto_arguments import add_debugwireproto
from wiredaemon.daemon.doctor.subcommand import add_doctor
from wiredaemon.daemon.interrupts import INTERRUPTED, leave_signals
from wiredaemon.daemon.unread import UNREAD, drop_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    _Subcommands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 has no public name

# Every subcommand imports what it needs when it runs: --help is quick, and `serve` may still
# choose its reactor.
# ruff: noqa: PLC0415


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status.

    Args:
        arguments: The arguments without the program's name; None stands for the process's own.
    """
    options = _parse(arguments)
    if not options.ends_at_signals:
        leave_signals()
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return UNREAD
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    options, rest = _parser().parse_known_args(arguments)
    words = getattr(options, "arguments", None)
    # Words after an option, which argparse leaves over where there may be none in front of it.
    if words is not None and not any(word.startswith("-") for word in rest):
        words += rest
    elif rest:
        options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wiredaemon",
        description="A daemon for Mercurial's frame-based wire protocol (hgrpc).",
        epilog="`twistd wiredaemon` takes the options of serve and runs in the background.",
    )
    parser.add_argument("--version", action="version", version=f"wiredaemon {__version__}")
    parser.set_defaults(ends_at_signals=False)
    commands = parser.add_subparsers(title="subcommands", required=True, metavar="SUBCOMMAND")

    _add_serve(commands)
    _add_init(commands)
    _add_import_hgweb(commands)
    add_check_config(commands)
    add_doctor(commands)
    add_user(commands)
    add_token(commands)
    add_client_subcommands(commands)
    add_debugwireproto(commands)
    add_completion(commands, parser)
    for each in parsers_of(parser):
        each.set_defaults(parser=each)
    return parser


def _add_serve(commands: _Subcommands) -> None:
    serve = commands.add_parser(
        "serve",
        help="run in the foreground",
        description="Run the daemon in the foreground. Without --config it serves an embedded "
        "default on loopback: HTTP on port 8000, HTTPS on 8443, raw TCP on 8010, raw TLS on 8011.",
    )
    source = serve.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="FILE", type=Path, help="configuration file (TOML)")
    source.add_argument(
        "--data",
        metavar="FOLDER",
        type=Path,
        help="data folder of the embedded default (default: $XDG_DATA_HOME/wiredaemon)",
    )
    serve.add_argument(
        "--pidfile", metavar="FILE", default="", help="file for the process id (default: none)"
    )
    serve.set_defaults(run=_serve)


def _add_init(commands: _Subcommands) -> None:
    init = commands.add_parser(
        "init",
        help="make a configuration and a data folder",
        description="Make a documented configuration, example commands, a development certificate "
        "and, where Mercurial is installed, an empty repository. Nothing is overwritten.",
    )
    init.add_argument("folder", metavar="FOLDER", type=Path, help="made when it is missing")
    init.set_defaults(run=_init)


def _add_import_hgweb(commands: _Subcommands) -> None:
    import_hgweb = commands.add_parser(
        "import-hgweb",
        help="write a configuration from that of hgwebdir",
        description="Read an hgweb.config and write a configuration that serves the same "
        "repositories at the same paths to the same users. What has no counterpart is said on "
        "standard error. Relative paths in the file are taken as relative to its folder.",
    )
    import_hgweb.add_argument("file", metavar="FILE", type=Path, help="of hgwebdir")
    import_hgweb.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="the new configuration (default: standard output); it is not overwritten",
    )
    import_hgweb.set_defaults(run=_import_hgweb)


def _serve(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.sockets_passed import name_sockets

    name_sockets(os.environ)  # Twisted looks at them when its plugins are imported

    from twisted.scripts import twistd

    from wiredaemon.daemon.service import StartError

    terminal = sys.stderr
    given = [("--config", options.config), ("--data", options.data)]
    extra = [part for name, path in given if path is not None for part in (name, str(path))]
    # twistd knows no other way to be given arguments. Its own default is a pid file.
    sys.argv = ["twistd", "--nodaemon", f"--pidfile={options.pidfile}", "wiredaemon", *extra]
    try:
        twistd.run()
    except StartError as error:
        # twistd has turned sys.stderr into a log by now.
        sys.stderr = terminal
        return _fail(error)
    return 0


def _init(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.init_folder import InitError, init_folder

    try:
        configuration = init_folder(options.folder, now=datetime.now(UTC))
    except InitError as error:
        return _fail(error)
    command = shlex.join(["wiredaemon", "serve", "--config", str(configuration)])
    _say(f"made {configuration}; now run: {command}")
    return 0


def _import_hgweb(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.import_hgweb import import_hgweb

    return import_hgweb(options)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _fail(error: Exception) -> int:
    sys.stderr.write(f"wiredaemon: {error}\n")
    return 1
