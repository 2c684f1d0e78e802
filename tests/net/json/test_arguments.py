from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.responding import make_command

from wiredaemon.commands import Argument, ArgumentType
from wiredaemon.net.json.arguments import WrongArgumentsError, read_object, read_query
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from wiredaemon.commands import Value

_T = ArgumentType
DECLARED: Final = {
    "bytes": Argument(type=_T.BYTES, default=b""),
    "int": Argument(type=_T.INT, default=None),
    "bool": Argument(type=_T.BOOL, default=False),
    "float": Argument(type=_T.FLOAT, default=0.0),
    "text": Argument(type=_T.TEXT, default=""),
    "list": Argument(type=_T.LIST, default=()),
    "set": Argument(type=_T.SET, default=frozenset()),
    "dict": Argument(type=_T.DICT, default=None),
    "texts": Argument(type=_T.LIST, elements=_T.TEXT, default=()),
    "floats": Argument(type=_T.DICT, elements=_T.FLOAT, default=None),
    "listed": Argument(type=_T.BYTES, valid_values=frozenset({b"a", b"b"}), default=b"a"),
}


def run(context: Any, **given: object) -> None:
    """Do nothing."""


COMMAND: Final = make_command(run, arguments=DECLARED)
NEEDS: Final = make_command(run, arguments={"name": Argument(type=_T.TEXT)})


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("", {}),
        ("{}", {}),
        (' {"bytes": "\u00e9"} ', {b"bytes": "\u00e9".encode()}),
        ('{"bytes": {"hex": "00ff"}}', {b"bytes": b"\x00\xff"}),
        ('{"int": null}', {b"int": None}),
        ('{"int": 3.0, "bool": true}', {b"int": 3, b"bool": True}),
        ('{"float": 0.1}', {b"float": b"0.1"}),
        ('{"float": 3}', {b"float": b"3.0"}),
        ('{"text": "hex:00"}', {b"text": b"hex:00"}),
        ('{"list": ["a", 1, {"hex": "ff"}]}', {b"list": [b"a", 1, b"\xff"]}),
        ('{"set": ["a", "a"]}', {b"set": [b"a", b"a"]}),
        ('{"dict": {"hex": "00", "hex:ff": []}}', {b"dict": {b"hex": b"00", b"\xff": []}}),
        ('{"dict": {"hex": "00"}}', {b"dict": {b"hex": b"00"}}),
        ('{"texts": ["a"]}', {b"texts": [b"a"]}),
        ('{"floats": {"a": 1.5}}', {b"floats": {b"a": b"1.5"}}),
        ('{"listed": "b"}', {b"listed": b"b"}),
    ],
)
def test_a_json_object_has_the_arguments(text: str, given: dict[bytes, Value]) -> None:
    assert read_object(COMMAND, text.encode(), Limits()) == given


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "^the body must be a JSON object of arguments$"),
        ("null", "^the body must be a JSON object of arguments$"),
        ("{", "^the body is no JSON: "),
        ('{"int": 1, "int": 1}', "^the body is no JSON: the key int is given twice$"),
        ('{"int": NaN}', "^the body is no JSON: NaN is no number of JSON$"),
        ('{"int": 1.5}', "^argument int: the protocol has no number like 1.5$"),
        ('{"int": "1"}', "^argument int must be of type int, not bytes$"),
        ('{"int": true}', "^argument int must be of type int, not bool$"),
        ('{"bool": 1}', "^argument bool must be of type bool, not int$"),
        ('{"bool": null}', "^argument bool must be of type bool, not null$"),
        ('{"float": "1.5"}', "^argument float: it must be a number$"),
        ('{"float": true}', "^argument float: it must be a number$"),
        ('{"float": 1e999}', "^argument float: a number is too large$"),
        ('{"list": [1e999]}', "^argument list: a number is too large$"),
        ('{"text": {"hex": "61"}}', "^argument text: it must be a string$"),
        ('{"text": "\\ud800"}', "^argument text: a string has half of a character$"),
        ('{"bytes": {"hex": "0"}}', "^argument bytes: 0 is not hexadecimal$"),
        ('{"bytes": 1}', "^argument bytes must be of type bytes, not int$"),
        ('{"list": {}}', "^argument list must be of type list, not dict$"),
        ('{"list": [0.5]}', "^argument list: the protocol has no number like 0.5$"),
        ('{"set": [[]]}', "^the elements of argument set must be byte strings or integers$"),
        ('{"dict": []}', "^argument dict must be of type dict, not list$"),
        ('{"dict": {"a": 1, "hex:61": 2}}', "^argument dict: the same key is given twice"),
        ('{"texts": [1]}', "^argument texts: it must be a string$"),
        ('{"floats": {"a": []}}', "^argument floats: it must be a number$"),
        ('{"listed": "c"}', "^argument listed does not accept c; valid values are: a, b$"),
        ('{"nothing": 1}', "nothing$"),
        ('{"\\ud800": 1}', "ud800$"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, fault: str) -> None:
    with pytest.raises(WrongArgumentsError, match=fault):
        read_object(COMMAND, text.encode(), Limits())


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(WrongArgumentsError, match=r"^missing required arguments: name$"):
        read_object(NEEDS, b"", Limits())
    with pytest.raises(WrongArgumentsError, match=r"^missing required arguments: name$"):
        read_query(NEEDS, b"")


@pytest.mark.parametrize(
    ("limits", "said", "fault"),
    [
        (Limits(cbor_depth=3), {"list": [[[]]]}, r"^the arguments have more than 3 levels"),
        (Limits(json_elements=3), {"list": [1, 2, 3]}, r"more than 3 elements \(json_elements\)$"),
        (Limits(json_elements=3), {"dict": {"a": 1}}, r"more than 3 elements \(json_elements\)$"),
        (Limits(cbor_containers=2), {"list": [[]]}, r"more than 2 arrays and objects"),
    ],
)
def test_a_bound_of_the_arguments_is_named(limits: Limits, said: object, fault: str) -> None:
    text = json.dumps(said).encode()
    assert read_object(COMMAND, text, Limits())
    with pytest.raises(WrongArgumentsError, match=fault):
        read_object(COMMAND, text, limits)


@pytest.mark.parametrize(
    ("query", "given"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"bytes=a+b%20c%2Bd", {b"bytes": b"a b c+d"}),
        (b"bytes=%00%ff", {b"bytes": b"\x00\xff"}),
        (b"bytes", {b"bytes": b""}),
        (b"bytes=a=b", {b"bytes": b"a=b"}),
        (b"%62ytes=a", {b"bytes": b"a"}),
        (b"int=-12&bool=true", {b"int": -12, b"bool": True}),
        (b"float=1.5e3", {b"float": b"1.5e3"}),
        (b"text=%C3%A9", {b"text": b"\xc3\xa9"}),
        (b"list=%5B%22a%22,1%5D", {b"list": [b"a", 1]}),
        (b'dict={"a":{"hex":"ff"}}', {b"dict": {b"a": b"\xff"}}),
    ],
)
def test_a_query_has_the_arguments(query: bytes, given: dict[bytes, Value]) -> None:
    assert read_query(COMMAND, query) == given


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (b"int=1&int=1", "^argument int is given twice$"),
        (b"int=", "^argument int: it must be a whole number$"),
        (b"int=1.0", "^argument int: it must be a whole number$"),
        (b"int=18446744073709551616", "more than 64 bits$"),
        (b"int=" + b"9" * 9999, "^argument int: it must be a whole number$"),
        (b"bool=1", "^argument bool: it must be true or false$"),
        (b"float=inf", "^argument float must be of type float"),
        (b"text=%ff", "^argument text must be of type text: it must be UTF-8$"),
        (b"list=a", "^argument list: Expecting value"),
        (b"listed=c", "^argument listed does not accept c"),
        (b"nothing=1", "nothing$"),
        (b"%ff=1", "^unsupported argument"),
    ],
)
def test_what_a_query_cannot_say_is_said(query: bytes, fault: str) -> None:
    with pytest.raises(WrongArgumentsError, match=fault):
        read_query(COMMAND, query)
