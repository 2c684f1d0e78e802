"""`wiredaemon list` and `wiredaemon describe` against a server on loopback."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import ensure_deferred, make_command
from support.serving import factory_of, listening
from support.tools import Told, told

from wiredaemon.commands import Argument, ArgumentType, Permission, capabilities
from wiredaemon.commands.registry import marked_commands

if TYPE_CHECKING:
    from pathlib import Path


def greet(context: Any, name: str, times: int) -> str:  # noqa: ARG001 only described
    """Return a greeting.

    It is \x1b[2J friendly.
    """
    return name * times


def choose(context: Any, fields: frozenset[bytes], more: dict[bytes, int]) -> int:  # noqa: ARG001 only described
    return 1


def write(context: Any) -> bool:  # noqa: ARG001 only described
    return True


BYTES: Final = ArgumentType.BYTES
COMMANDS: Final = [
    *marked_commands(capabilities),
    make_command(
        greet,
        arguments={
            "times": Argument(type=ArgumentType.INT, default=1),
            "name": Argument(type=ArgumentType.TEXT),
        },
    ).with_help(),
    make_command(
        choose,
        arguments={
            "fields": Argument(
                type=ArgumentType.SET,
                default=frozenset({b"a"}),
                elements=BYTES,
                valid_values=frozenset({b"b", b"a"}),
            ),
            "more": Argument(type=ArgumentType.DICT),
        },
    ),
    replace(make_command(write), permission=Permission.RW),
]


async def asked(
    name: str, *words: str, kind: str = "http", dialect: str = "0006", is_coloured: bool = False
) -> tuple[Told, str]:
    """What a tool says of a server in one dialect, and the server's URL."""
    async with listening(factory_of(kind, COMMANDS, framings=[dialect])) as port:
        url = f"{kind}://localhost:{port}/"
        options = ["--dialect", dialect]
        return await told(name, url, *words, *options, is_coloured=is_coloured), url


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_each_command_is_a_line_and_its_help_another(kind: str) -> None:
    outcome, _ = await asked("list", kind=kind)
    assert outcome == (
        0,
        (
            b"ro  capabilities()\n"
            b'ro  choose(more: dict, fields: set[bytes] = ["a"])\n'
            b"ro  greet(name: text, times: int = 1)\n"
            b"      Return a greeting.\n"
            b"rw  write()\n"
        ),
        "",
        "",
    )


@ensure_deferred
async def test_colours_show_names_and_what_writes() -> None:
    outcome, _ = await asked("list", is_coloured=True)
    assert outcome.output.endswith(b"\x1b[33mrw\x1b[m  \x1b[1mwrite\x1b[m()\n")


@ensure_deferred
async def test_examples_stand_for_types_where_servers_declare_none() -> None:
    outcome, _ = await asked("list", dialect="0003")
    assert b"ro  greet(name: bytes, times: int)\n" in outcome.output
    outcome, url = await asked("describe", "greet", dialect="0003")
    assert outcome.output.decode() == (
        "greet (ro)\n"
        "\n"
        "Arguments:\n"
        '  name   bytes, for instance ""\n'
        "  times  int, for instance 0\n"
        "\n"
        "To call it:\n"
        f"  wiredaemon call {url} greet name=BYTES times=INT\n"
    )


@ensure_deferred
async def test_json_is_a_line_for_each_command() -> None:
    outcome, _ = await asked("list", "--output", "json")
    records = {record["name"]: record for record in map(json.loads, outcome.output.splitlines())}
    assert records["write"] == {"name": "write", "permission": "rw", "arguments": []}
    assert records["choose"]["arguments"] == [
        {"name": "more", "type": "dict", "required": True},
        {
            "name": "fields",
            "type": "set",
            "elements": "bytes",
            "required": False,
            "default": ["a"],
            "valid_values": ["a", "b"],
        },
    ]
    outcome, _ = await asked("describe", "greet", "--output", "json")
    assert json.loads(outcome.output) == records["greet"]
    assert records["greet"]["help"].startswith("Return a greeting.\n")
    outcome, _ = await asked("describe", "greet", "--output", "json", dialect="0003")
    assert json.loads(outcome.output)["arguments"][1] == {
        "name": "times",
        "type": "int",
        "example": 0,
    }


@ensure_deferred
async def test_a_description_has_all_and_the_way_to_call_it() -> None:
    outcome, url = await asked("describe", "greet")
    assert outcome.output.decode() == (
        "greet (ro)\n"
        "\n"
        "  Return a greeting.\n"
        "\n"
        "  It is \\x1b[2J friendly.\n"
        "\n"
        "Arguments:\n"
        "  name   text, required\n"
        "  times  int, default 1\n"
        "\n"
        "To call it:\n"
        f"  wiredaemon call {url} greet name=TEXT [times=INT]\n"
    )
    outcome, url = await asked("describe", "choose")
    assert outcome.output.decode() == (
        "choose (ro)\n"
        "\n"
        "Arguments:\n"
        "  more    dict, required\n"
        '  fields  set[bytes], default ["a"], of "a", "b"\n'
        "\n"
        "To call it:\n"
        f"  wiredaemon call {url} choose more:=JSON [fields=SET]\n"
    )


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("gret", "the server describes no command gret; is it greet?"),
        ("xyz", "the server describes no command xyz"),
    ],
)
@ensure_deferred
async def test_a_command_that_is_not_there_is_an_error_with_those_that_are_near(
    command: str, line: str
) -> None:
    outcome, _ = await asked("describe", command)
    assert outcome == (1, b"", "", line)


@ensure_deferred
async def test_a_server_that_describes_nothing_is_an_error() -> None:
    outcome, _ = await asked("list", kind="hgrpc", dialect="0002")
    line = "the server does not describe its commands in dialect 0002"
    assert outcome == (76, b"", "", line)


@ensure_deferred
async def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    outcome, _ = await asked("list", "--user", "ann", "--password-file", str(file))
    assert (outcome.status, outcome.line) == (1, f"{file}: No such file or directory")
