"""The transcripts of the documents: ``PYTHONPATH=tests python -m transcripts.page``.

Scripts are run by ``wiredaemon debugwireproto`` against a daemon with three commands, and the page
shows what it prints. ``test_page.py`` makes the page again and compares the two.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.configuration import configuration
from support.daemon import Daemon
from support.environment import environment

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "transcripts.md"
DEADLINE: Final = 60.0
"""Seconds for one run of the tool."""

_AUTHORITY: Final = "127.0.0.1:8000"
_FRAMINGS: Final = {"exp-http-v2-0001": ("0003", "0005", "0002"), "exp-http-v2-0003": ("0006",)}
_CHANGES: Final = re.compile(r"(s>     Server: |s>     Date: |requests and )[^\\;]+(?=\\| bytes;)")
"""What is not the same each day, with each release, and with each port."""
_COMMANDS: Final = '''\
from wiredaemon.commands import Argument, ArgumentType, CommandError, Permission, command


@command(
    "greet",
    permission=Permission.RO,
    arguments={"name": Argument(type=ArgumentType.BYTES, example=b"you")},
)
def greet(context, name):
    """Greet somebody."""
    return b"hello " + name


@command("fail", permission=Permission.RO)
def fail(context):
    """Fail, as a command does that says why."""
    raise CommandError("no %s today", ["luck"])


@command("count", permission=Permission.RW, has_data=True)
async def count(context):
    """Count the bytes of its data."""
    return sum([len(piece) async for piece in context.data])
'''
_HEAD: Final = """# Transcripts

What goes over the wire, byte by byte, in each dialect. Each block is a run of `wiredaemon
debugwireproto` ([the debug client tool](debugwireproto.md)) against a daemon that has these
commands:

```python
{commands}```

Lines with `s>` are bytes of the connection, sent and received; stars stand for what changes from
day to day. A frame begins with 8 bytes: three for the size of the payload, two for the number of
the request, one for the stream, one for the stream's flags, and one for type (upper half) and
flags (lower half). [Dialects](dialects.md) has the numbers of types and flags,
[Framing](spec/framing.md) the rules. CBOR is shown as it is sent: `\\xa1` begins a map with one
entry, `E` a byte string of 5 bytes.

This page is made by `make reference`, of the tool itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One transcript: words, the options of the tool, and the script that it is given."""

    title: str
    words: str
    options: str
    script: str


def _post(path: str, dialect: str, *frames: str) -> str:
    media = f"application/mercurial-exp-framing-{dialect}"
    lines = [f"httprequest POST {path}", f"    accept: {media}", f"    content-type: {media}"]
    return "\n".join([*lines, *(f"    frame {frame}" for frame in frames)]) + "\n"


def _request(name: bytes) -> str:
    values = {b"name": b"greet", b"args": {b"name": name}}
    return f"command-request new cbor:{values}"


_GREET: Final = "command greet\n    name you\n"
_0006: Final = "--verbose --nologhandshake --encoding identity --peer http2"

SHOWN: Final = (
    Shown(
        title="The handshake",
        words="A client of version 2 asks for the capabilities of version 1, and says in "
        "headers which API it would take instead. The answer describes that API and all "
        "of its commands. Then the first command is called.",
        options="--verbose --encoding identity --peer http2",
        script=_GREET,
    ),
    Shown(
        title="0006: several requests together",
        words="Over HTTP the frames of `multirequest` are one body, and so are those of the "
        "answers. Each has the number of its request.",
        options="--verbose --peer raw",
        script=_post(
            "api/exp-http-v2-0003/ro/multirequest",
            "0006",
            f"1 1 stream-begin {_request(b'Ann')}",
            f"3 1 0 {_request(b'Bob')}",
        ),
    ),
    Shown(
        title="0006: command data",
        words="A command that takes data says so in its request, by a flag; the data follows in "
        "frames of its own.",
        options="--verbose --peer raw",
        script=_post(
            "api/exp-http-v2-0003/rw/count",
            "0006",
            "1 1 stream-begin command-request new|have-data cbor:{b'name': b'count'}",
            "1 1 0 command-data continuation first",
            "1 1 0 command-data eos second",
        ),
    ),
    Shown(
        title="0006: a content encoding",
        words="The client says in front of its request which encodings it can decode. The "
        "server's stream names the one that it takes, and its frames are marked as "
        "encoded.",
        options="--verbose --nologhandshake --encoding zstd-8mb --peer http2",
        script=_GREET,
    ),
    Shown(
        title="0006: a command that fails",
        words="A failure that the command has foreseen is a status map, with message and "
        "arguments apart, so that a client may translate it.",
        options=_0006,
        script="command fail\n",
    ),
    Shown(
        title="0006: a mistake in the frames",
        words="Where frames break the rules, over HTTP the answer is a text that says how.",
        options="--verbose --peer raw",
        script=_post(
            "api/exp-http-v2-0003/ro/greet",
            "0006",
            "1 1 0 command-request new cbor:{b'name': b'greet'}",
        ),
    ),
    Shown(
        title="0005: a result and a failure",
        words="Results have a status map in front, in one frame with them.",
        options="--verbose --nologhandshake --dialect 0005 --peer http2",
        script=f"{_GREET}command fail\n",
    ),
    Shown(
        title="0003: a result and a failure",
        words="A result is CBOR where a flag says so, and raw bytes otherwise; a failure is a "
        "frame of its own type.",
        options="--verbose --nologhandshake --dialect 0003 --peer http2",
        script=f"{_GREET}command fail\n",
    ),
    Shown(
        title="0002: a request in several frames",
        words="The name of the command is a frame, and so is each argument: the sizes of its "
        "name and its value, two bytes each, then both.",
        options="--verbose --dialect 0002 --peer raw",
        script=_post(
            "api/exp-http-v2-0001/ro/greet",
            "0002",
            "1 1 stream-begin command-name have-args greet",
            r"1 1 0 command-argument eoa \x04\x00\x03\x00nameyou",
        ),
    ),
    Shown(
        title="What HTTP refuses",
        words="Methods, permissions and media types are looked at before any frame.",
        options="--verbose --peer raw",
        script="httprequest GET api/exp-http-v2-0003/ro/greet\n"
        "httprequest POST api/exp-http-v2-0003/ro/count\n"
        "httprequest POST api/exp-http-v2-0003/ro/greet\n    accept: text/html\n",
    ),
)


def page() -> str:
    """Return the whole document; a daemon is started for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = folder / "shown.py"
        commands.write_text(_COMMANDS, "utf-8")
        switched_off = configuration(
            data=folder / "data",
            framings=_FRAMINGS,
            load=[commands],
            more='[web]\npush_ssl = false\nallow-push = ["*"]',
        )
        text = switched_off.replace("enabled = false", "enabled = true")
        with Daemon.start(text.replace("http_v2 = false", "http_v2 = true"), folder) as daemon:
            sections = [_section(each, f"127.0.0.1:{daemon.port()}") for each in SHOWN]
    return "\n".join([_HEAD.format(commands=_COMMANDS), *sections])


def _section(shown: Shown, authority: str) -> str:
    command = f"wiredaemon debugwireproto {shown.options} http://{_AUTHORITY}/"
    script = "".join(f"> {line}\n" for line in shown.script.splitlines())
    printed = _CHANGES.sub(r"\1*", _run(shown, authority)).replace(authority, _AUTHORITY)
    return (
        f"## {shown.title}\n\n{shown.words}\n\n"
        f"```console\n$ {command} << EOF\n{script}> EOF\n{printed}```\n"
    )


def _run(shown: Shown, authority: str) -> str:
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "wiredaemon", "debugwireproto", *shown.options.split()),
            f"http://{authority}/",
        ],
        input=shown.script.encode(),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=False,
    )
    return finished.stdout.decode()


if __name__ == "__main__":
    sys.stdout.write(page())
