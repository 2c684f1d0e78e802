"""The arguments of ``wiredaemon debugwireproto``, in front of its imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import argparse

    _Subcommands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 has no public name


def add_debugwireproto(commands: _Subcommands) -> None:
    """Add the subcommand to a parser."""
    tool = commands.add_parser(
        "debugwireproto",
        help="send a script of requests and show every byte",
        description="Send the requests of a script, which is read from standard input, and print a "
        "transcript, as `hg debugwireproto` of Mercurial 4.6 to 6.0 does. docs/debugwireproto.md "
        "has the words of a script.",
        epilog="The exit status is 0; 255 if the server or the script is at fault, or 1 if the "
        "script asks for what no server is asked.",
    )
    # Checked by the subcommand, so that what is missing or wrong is said as Mercurial's tool does.
    tool.add_argument("url", metavar="URL", nargs="?", help="http:// and, after it, the path")
    tool.add_argument(
        "--peer",
        metavar="KIND",
        default="http1",
        help="raw (httprequest only), http1 (version 1 of the protocol, the default) or http2",
    )
    detail = tool.add_mutually_exclusive_group()
    detail.add_argument("--verbose", "-v", action="store_true", help="show every byte")
    detail.add_argument("--debug", action="store_true", help="and every call of the sockets")
    tool.add_argument(
        "--nologhandshake", action="store_true", help="do not show the handshake of http2"
    )
    _add_ways(tool)
    tool.set_defaults(run=_debugwireproto, ends_at_signals=True)


def _add_ways(tool: argparse.ArgumentParser) -> None:
    """Add the options that say how the server is talked to."""
    tool.add_argument("--localssh", action="store_true", help="refused: there is no SSH here")
    tool.add_argument(
        "--dialect",
        metavar="NAME",
        help="framing of frames and of the http2 peer, 0002 to 0006 (default: as --transcript)",
    )
    tool.add_argument(
        "--transcript",
        metavar="NAME",
        help="print lines, escapes and results as Mercurial did at the time of this dialect, 0002 "
        "to 0006 (default: as --dialect, else 0006)",
    )
    tool.add_argument(
        "--encoding",
        metavar="NAME",
        action="append",
        default=[],
        help="content encoding that http2 offers; may be repeated, best first (default: all)",
    )
    tool.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=30.0,
        help="how long the server may be silent (default: 30)",
    )


def _debugwireproto(options: argparse.Namespace) -> int:
    # Imported when it runs: --help is quick.
    from wiredaemon.daemon.debugwireproto_subcommand import debugwireproto  # noqa: PLC0415

    return debugwireproto(options)
