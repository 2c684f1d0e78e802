from __future__ import annotations

import pytest

from wiredaemon.client.description import (
    DescribedArgument,
    DescribedCommand,
    Description,
    read_description,
)
from wiredaemon.commands import ArgumentType, Permission


def test_arguments_are_read_from_what_0006_declares() -> None:
    described = {
        b"commands": {
            b"pushkey": {
                b"args": {
                    b"key": {b"required": True, b"type": b"bytes"},
                    b"count": {b"required": False, b"type": b"int", b"default": 0},
                    b"fields": {
                        b"required": False,
                        b"type": b"set",
                        b"default": frozenset(),
                        b"elements": b"bytes",
                        b"validvalues": [b"a", b"b"],
                    },
                    b"odd": {
                        b"required": True,
                        b"type": b"list",
                        b"default": 1,
                        b"elements": 3,
                        b"validvalues": 4,
                    },
                    b"strange": {b"required": True, b"type": b"of a later era"},
                },
                b"permissions": [b"push"],
            }
        }
    }
    assert read_description(described) == Description(
        commands={
            b"pushkey": DescribedCommand(
                permission=Permission.RW,
                arguments={
                    b"key": DescribedArgument(type=ArgumentType.BYTES, is_required=True),
                    b"count": DescribedArgument(
                        type=ArgumentType.INT, is_required=False, default=0
                    ),
                    b"fields": DescribedArgument(
                        type=ArgumentType.SET,
                        is_required=False,
                        default=frozenset(),
                        elements=ArgumentType.BYTES,
                        valid_values=(b"a", b"b"),
                    ),
                    b"odd": DescribedArgument(type=ArgumentType.LIST, is_required=True),
                    b"strange": DescribedArgument(is_required=True),
                },
            )
        }
    )


def test_types_are_read_from_the_examples_of_older_eras() -> None:
    examples = {
        b"bytes": b"ns",
        b"bool": False,
        b"int": 3,
        b"list": [b"deadbeef"],
        b"dict": {b"include": []},
        b"set": {b"a"},
        b"nothing": None,
    }
    described = {b"commands": {b"all": {b"args": examples, b"permissions": [b"pull"]}}}
    types = {
        b"bytes": ArgumentType.BYTES,
        b"bool": ArgumentType.BOOL,
        b"int": ArgumentType.INT,
        b"list": ArgumentType.LIST,
        b"dict": ArgumentType.DICT,
        b"set": ArgumentType.SET,
        b"nothing": None,
    }
    assert read_description(described).commands[b"all"] == DescribedCommand(
        permission=Permission.RO,
        arguments={
            name: DescribedArgument(type=types[name], example=example)
            for name, example in examples.items()
        },
    )


@pytest.mark.parametrize(
    "descriptor",
    [None, b"lookup branchmap", [], {}, {b"commands": 3}, {b"commands": {1: {}, b"a": 2}}],
)
def test_what_describes_nothing_is_an_empty_description(descriptor: object) -> None:
    assert read_description(descriptor) == Description(commands={})


def test_a_command_that_says_nothing_of_itself_needs_no_more_than_reading() -> None:
    described = {b"commands": {b"odd": {b"args": [], b"permissions": b"push"}}}
    assert read_description(described).commands == {
        b"odd": DescribedCommand(permission=Permission.RO)
    }


@pytest.mark.parametrize(("said", "shown"), [(b"Add.", b"Add."), (3, b""), (None, b"")])
def test_the_help_is_what_the_server_says_if_it_is_bytes(said: object, shown: bytes) -> None:
    described = {b"commands": {b"add": {b"args": {}, b"permissions": [b"pull"], b"help": said}}}
    assert read_description(described).commands[b"add"].help == shown
