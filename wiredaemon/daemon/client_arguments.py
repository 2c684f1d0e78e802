"""The subcommands that call servers: their arguments, their help and what runs them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, TypeAlias

from wiredaemon.daemon.client_options import (
    add_deadline,
    add_output,
    add_sending_options,
    add_server_options,
    seconds_of,
    whole,
)
from wiredaemon.daemon.client_status import MEANINGS

if TYPE_CHECKING:
    _Subcommands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 has no public name

# Every subcommand imports what it needs when it runs: --help is quick.
# ruff: noqa: PLC0415

_URLS: Final = (
    "URL is http://, https://, hgrpc:// (frames over TCP), hgrpcs:// (frames over TLS) or "
    "unix:/path/of/socket; its path names the repository."
)
_MOST_CALLS: Final = 10_000_000
_MOST_IN_FLIGHT: Final = 1000
_MOST_PINGS: Final = 10_000

_STATUSES: Final = "exit status:\n" + "".join(
    f"  {status:3}  {meaning}\n" for status, meaning in MEANINGS.items()
)
_LIST_EXAMPLES: Final = """examples:
  wiredaemon list http://127.0.0.1:8000/
  wiredaemon list --output json hgrpc://127.0.0.1/ | jq -r .name
"""
_DESCRIBE_EXAMPLES: Final = """examples:
  wiredaemon describe http://127.0.0.1:8000/ listkeys
  wiredaemon describe --output json http://127.0.0.1:8000/ listkeys
"""
_PING_EXAMPLES: Final = """examples:
  wiredaemon ping https://hg.example.org/team
  wiredaemon ping --output json -n 20 hgrpcs://hg.example.org/
"""
_CALL_EXAMPLES: Final = """arguments:
  KEY=VALUE    read as the type that the server declares: a number, true or false,
               a comma-separated list, bytes
  KEY=hex:00ff bytes in hexadecimal
  KEY=@FILE    what is in the file; KEY=@ is an at sign
  KEY:=JSON    any value, its strings being bytes; KEY:=@FILE from a file

examples:
  wiredaemon call http://127.0.0.1:8000/ heads
  wiredaemon call hgrpc://127.0.0.1/ listkeys namespace=bookmarks
  wiredaemon call --user ann --deadline 10 https://hg.example.org/team heads
  echo '{"namespace": "phases"}' | wiredaemon call --json - hgrpc://127.0.0.1/ listkeys
"""
_BENCH_EXAMPLES: Final = """examples:
  wiredaemon bench http://127.0.0.1:8000/ heads
  wiredaemon bench -c 32 --seconds 10 hgrpc://127.0.0.1/ listkeys namespace=phases
"""


def add_client_subcommands(commands: _Subcommands) -> None:
    """Add what calls servers: call, list, describe, ping and bench."""
    sending = [_add_call(commands)]
    others = [_add_list(commands), _add_describe(commands), _add_ping(commands)]
    sending.append(_add_bench(commands))
    for parser in sending:
        add_sending_options(parser)
    for parser in (*sending, *others):
        add_server_options(parser)


def _add(  # noqa: PLR0913, PLR0917 all that a subcommand is made of
    commands: _Subcommands,
    name: str,
    words: str,
    summary: str,
    description: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Add a subcommand whose first argument is a URL."""
    added = commands.add_parser(
        name,
        help=summary,
        usage=f"wiredaemon {name} [OPTION ...] URL{words}",
        description=f"{description}\n\n{_URLS}",
        epilog=f"{examples}\n{_STATUSES}",
        formatter_class=_Formatter,
    )
    added.add_argument("url", metavar="URL", help="of the repository")
    added.set_defaults(ends_at_signals=True)
    return added


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples, and breaks those of the text in front."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(("arguments:", "examples:")):
            return super()._fill_text(text, width, indent)
        fill = argparse.HelpFormatter._fill_text  # noqa: SLF001 it has no public name
        return "\n\n".join(fill(self, part, width, indent) for part in text.split("\n\n"))


def _add_call(commands: _Subcommands) -> argparse.ArgumentParser:
    call = _add(
        commands,
        "call",
        " COMMAND [KEY=VALUE ...]",
        "call a command of a server",
        "Call a command and print the objects of its response as they arrive; its text and its "
        "progress go to standard error.",
        _CALL_EXAMPLES,
    )
    _add_command(call)
    add_output(
        call,
        ["pretty", "json", "raw"],
        "how objects are printed: pretty (the default), json (a line for each), raw (byte strings "
        "as they are)",
    )
    call.add_argument("--data", metavar="FILE", help="command data; - for standard input")
    call.set_defaults(run=_call)
    return call


def _add_list(commands: _Subcommands) -> argparse.ArgumentParser:
    listing = _add(
        commands,
        "list",
        "",
        "list the commands of a server",
        "List the commands of a server, as it describes them: permission, arguments with types and "
        "defaults, and the first line of the help.",
        _LIST_EXAMPLES,
    )
    add_output(listing)
    listing.set_defaults(run=_list)
    return listing


def _add_describe(commands: _Subcommands) -> argparse.ArgumentParser:
    describe = _add(
        commands,
        "describe",
        " COMMAND",
        "describe a command of a server",
        "Print all that a server says of one command, and how to call it.",
        _DESCRIBE_EXAMPLES,
    )
    describe.add_argument("command", metavar="COMMAND", help="for instance heads")
    add_output(describe)
    describe.set_defaults(run=_describe)
    return describe


def _add_ping(commands: _Subcommands) -> argparse.ArgumentParser:
    ping = _add(
        commands,
        "ping",
        "",
        "say how far a server is away, and what it speaks",
        "Call the command capabilities several times and print how long that took, the protocol, "
        "the dialect, whether there is a session, and TLS with the server's certificate.",
        _PING_EXAMPLES,
    )
    add_output(ping)
    ping.add_argument(
        "-n",
        "--count",
        metavar="N",
        type=whole(_MOST_PINGS),
        default=5,
        help="how many calls (default: 5)",
    )
    add_deadline(ping)
    ping.set_defaults(run=_ping)
    return ping


def _add_bench(commands: _Subcommands) -> argparse.ArgumentParser:
    bench = _add(
        commands,
        "bench",
        " COMMAND [KEY=VALUE ...]",
        "measure how fast a server answers a command",
        "Call a command many times, several calls at once, and print calls per second, latencies "
        "and their histogram. Over HTTP each call at once has a connection of its own, else all "
        "share one.",
        _BENCH_EXAMPLES,
    )
    _add_command(bench)
    add_output(bench)
    bench.add_argument(
        "-n",
        "--calls",
        metavar="N",
        type=whole(_MOST_CALLS),
        help="how many calls (default: 1000, or as many as --seconds allows)",
    )
    bench.add_argument(
        "-c",
        "--in-flight",
        metavar="N",
        type=whole(_MOST_IN_FLIGHT),
        default=8,
        help="how many calls at once (default: 8)",
    )
    bench.add_argument(
        "--seconds", metavar="SECONDS", type=seconds_of, help="begin no call after this time"
    )
    bench.set_defaults(run=_bench)
    return bench


def _add_command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", metavar="COMMAND", help="for instance heads")
    parser.add_argument(
        "arguments", metavar="KEY=VALUE", nargs="*", help="arguments of the command"
    )


def _call(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.call_subcommand import call
    from wiredaemon.daemon.client_run import run

    return run(call, options)


def _list(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.client_run import run
    from wiredaemon.daemon.list_subcommand import list_commands

    return run(list_commands, options)


def _describe(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.client_run import run
    from wiredaemon.daemon.list_subcommand import describe

    return run(describe, options)


def _ping(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.client_run import run
    from wiredaemon.daemon.ping_subcommand import ping

    return run(ping, options)


def _bench(options: argparse.Namespace) -> int:
    from wiredaemon.daemon.bench_subcommand import bench
    from wiredaemon.daemon.client_run import run

    return run(bench, options)
