"""The repository commands as they are declared, without any Mercurial."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.descriptions import described

from wiredaemon.commands import CommandError, Permission, ServerError, WithOutput
from wiredaemon.commands.capabilities import RepositoryFacts, capabilities, describe_api
from wiredaemon.commands.declaration import MARK
from wiredaemon.commands.registry import Registry, marked_commands
from wiredaemon.commands.running import present, read_arguments, start
from wiredaemon.repository import declarations
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Command

NODE = bytes(range(20))

FACTS = RepositoryFacts(
    compression=[b"zstd", b"zlib"],
    requirements=[b"generaldelta", b"revlogv1"],
    stream_allowed=True,
)

CAPABILITIES_0003 = (
    b"\xa4Hcommands\xa7Eheads\xa2Dargs\xa1Jpubliconly\xf4Kpermissions\x81DpullEknown\xa2Dargs"
    b"\xa1Enodes\x81HdeadbeefKpermissions\x81DpullFlookup\xa2Dargs\xa1CkeyCfooKpermissions\x81"
    b"DpullGpushkey\xa2Dargs\xa4CkeyCkeyCnewCnewColdColdInamespaceBnsKpermissions\x81DpushHlistkeys"
    b"\xa2Dargs\xa1InamespaceBnsKpermissions\x81DpullIbranchmap\xa2Dargs\xa0Kpermissions\x81Dpull"
    b"Lcapabilities\xa2Dargs\xa0Kpermissions\x81DpullKcompression\x82\xa1DnameDzstd\xa1DnameDzlib"
    b"Nrawrepoformats\x82LgeneraldeltaHrevlogv1Qframingmediatypes\x81X&application/mercurial-exp-"
    b"framing-0003"
)
"""Source: commands, section 2.1."""

DESCRIPTORS_0006 = {
    "branchmap": b"\xa2Dargs\xa0Kpermissions\x81Dpull",
    "heads": (
        b"\xa2Dargs\xa1Jpubliconly\xa3Gdefault\xf4Hrequired\xf4DtypeDboolKpermissions\x81Dpull"
    ),
    "known": b"\xa2Dargs\xa1Enodes\xa3Gdefault\x80Hrequired\xf4DtypeDlistKpermissions\x81Dpull",
    "listkeys": b"\xa2Dargs\xa1Inamespace\xa2Hrequired\xf5DtypeEbytesKpermissions\x81Dpull",
    "lookup": b"\xa2Dargs\xa1Ckey\xa2Hrequired\xf5DtypeEbytesKpermissions\x81Dpull",
    "pushkey": (
        b"\xa2Dargs\xa4Ckey\xa2Hrequired\xf5DtypeEbytesInamespace\xa2Hrequired\xf5DtypeEbytes"
        b"Cnew\xa2Hrequired\xf5DtypeEbytesCold\xa2Hrequired\xf5DtypeEbytesKpermissions\x81Dpush"
    ),
}
"""Source: commands, section 4.3."""


def declared() -> list[Command]:
    return list(marked_commands(declarations))


def registry() -> Registry:
    return Registry([*declared(), getattr(capabilities, MARK)])


def find(name: str, dialect: str) -> Command:
    found = registry().find(name.encode(), DIALECTS[dialect])
    assert found is not None
    return found


class Asked:
    """A repository that notes what it is asked and gives one answer."""

    def __init__(self, answer: object = None) -> None:
        self.calls: list[tuple[bytes, Mapping[bytes, object]]] = []
        self._answer = answer

    async def call(self, command: bytes, arguments: Mapping[bytes, object]) -> object:
        self.calls.append((command, arguments))
        return self._answer


def run(name: str, dialect: str, arguments: object, answer: object = None) -> tuple[Any, Asked]:
    """What the dialect sends for a command, and what the repository was asked."""
    repository = Asked(answer)
    context: Any = SimpleNamespace(repository=repository)
    known, spoken = find(name, dialect), DIALECTS[dialect]
    result = start(known, context, read_arguments(known, arguments, spoken))
    return present(known, result, spoken), repository


def test_the_capabilities_of_0003_are_those_of_the_original_to_the_byte() -> None:
    dialect = DIALECTS["0003"]
    described = describe_api(registry(), dialect, [dialect], FACTS)
    assert cbor.encode(described, dialect.cbor.key_order) == CAPABILITIES_0003


@pytest.mark.parametrize("name", DESCRIPTORS_0006)
def test_a_descriptor_of_0006_is_that_of_the_original_to_the_byte(name: str) -> None:
    dialect = DIALECTS["0006"]
    described: Any = describe_api(registry(), dialect, [dialect], FACTS)
    described = described[b"commands"][name.encode()]
    assert cbor.encode(described, dialect.cbor.key_order) == DESCRIPTORS_0006[name]


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
def test_every_later_dialect_has_the_value_commands_and_no_others(dialect: str) -> None:
    names = {known.name for known in registry().exposed(DIALECTS[dialect])}
    assert names == {"capabilities", *DESCRIPTORS_0006}


def test_0002_has_what_it_shares_with_version_1_and_the_right_to_it() -> None:
    found = {known.name: known.permission.value for known in registry().exposed(DIALECTS["0002"])}
    assert found == {
        "branchmap": "ro",
        "capabilities": "ro",
        "clonebundles": "ro",
        "debugwireargs": "ro",
        "getbundle": "ro",
        "heads": "ro",
        "hello": "ro",
        "known": "ro",
        "listkeys": "ro",
        "lookup": "ro",
        "pushkey": "rw",
        "stream_out": "ro",
        "unbundle": "rw",
    }


@pytest.mark.parametrize(
    "name", ["batch", "between", "branches", "changegroup", "changegroupsubset"]
)
def test_0002_knows_the_name_of_what_this_transport_does_not_have(name: str) -> None:
    assert not find(name, "0002").exposed
    assert registry().find(name.encode(), DIALECTS["0003"]) is None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("debugwireargs", {b"one": b"1", b"two": b"2"}),
        ("getbundle", {}),
        ("stream_out", {}),
        ("unbundle", {b"heads": b"666f726365"}),
    ],
)
def test_what_only_version_1_can_do_says_so(name: str, arguments: dict[bytes, bytes]) -> None:
    with pytest.raises(ServerError, match=rf"{name} is not available in frames: .* \?cmd={name}"):
        run(name, "0002", arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "answer", "expected"),
    [
        ("branchmap", {}, {b"a b": [NODE]}, (b"branchmap", {})),
        ("heads", {}, [NODE], (b"heads", {b"publiconly": False})),
        ("heads", {b"publiconly": True}, [NODE], (b"heads", {b"publiconly": True})),
        ("known", {b"nodes": [NODE]}, b"1", (b"known", {b"nodes": [NODE]})),
        ("known", {}, b"", (b"known", {b"nodes": ()})),
        (
            "listkeys",
            {b"namespace": b"phases"},
            {b"publishing": b"True"},
            (b"listkeys", {b"namespace": b"phases"}),
        ),
        ("lookup", {b"key": b"tip"}, NODE, (b"lookup", {b"key": b"tip"})),
    ],
)
@pytest.mark.parametrize("dialect", ["0003", "0006"])
def test_a_command_asks_the_repository_and_gives_its_answer(
    dialect: str, name: str, arguments: object, answer: object, expected: object
) -> None:
    result, repository = run(name, dialect, arguments, answer)
    assert (result, repository.calls) == (answer, [expected])


PUSHED = {b"namespace": b"bookmarks", b"key": b"a", b"old": b"", b"new": b"f" * 40}


def test_pushkey_gives_whether_the_key_moved() -> None:
    result, repository = run("pushkey", "0006", PUSHED, [True, b"printed\n"])
    assert result is True
    assert repository.calls == [(b"pushkey", PUSHED)]


def test_pushkey_of_0002_shows_what_was_printed() -> None:
    result, _ = run("pushkey", "0002", PUSHED, [False, b"printed\n"])
    assert result == b"0\nprinted\n"


def test_an_answer_to_pushkey_that_is_none_is_an_error() -> None:
    with pytest.raises(ServerError):
        run("pushkey", "0006", PUSHED, b"1\n")


@pytest.mark.parametrize(
    ("name", "arguments", "answer", "asked", "shown"),
    [
        (
            "branchmap",
            {},
            {b"a b": [NODE]},
            {},
            b"a%20b " + NODE.hex().encode(),
        ),
        ("clonebundles", {}, b"https://x\n", {}, b"https://x\n"),
        (
            "heads",
            {b"publiconly": b"ignored"},
            [NODE],
            {b"publiconly": False},
            NODE.hex().encode() + b"\n",
        ),
        ("known", {b"nodes": NODE.hex().encode()}, b"1", {b"nodes": [NODE]}, b"1"),
        (
            "listkeys",
            {b"namespace": b"namespaces"},
            {b"phases": b"", b"bookmarks": b"", b"namespaces": b""},
            {b"namespace": b"namespaces"},
            b"bookmarks\t\nnamespaces\t\nphases\t",
        ),
        (
            "lookup",
            {b"key": b"tip"},
            NODE,
            {b"key": b"tip"},
            b"1 " + NODE.hex().encode() + b"\n",
        ),
    ],
)
def test_0002_reads_and_shows_the_text_forms_of_version_1(
    name: str, arguments: object, answer: object, asked: object, shown: bytes
) -> None:
    result, repository = run(name, "0002", arguments, answer)
    assert (result, repository.calls) == (shown, [(name.encode(), asked)])


def test_0002_shows_a_failed_lookup_as_its_result() -> None:
    form = find("lookup", "0002").text
    assert form is not None
    assert form.failure is not None
    assert form.failure(b"unknown revision 'foo'") == b"0 unknown revision 'foo'\n"


def test_0002_names_the_node_that_is_none() -> None:
    with pytest.raises(CommandError, match="entry 1 is not a node"):
        run("known", "0002", {b"nodes": b"zz"})


def test_0002_cannot_show_a_key_with_a_line_end() -> None:
    with pytest.raises(ServerError, match="no text form"):
        run("listkeys", "0002", {b"namespace": b"bookmarks"}, {b"a\nb": b""})


@pytest.mark.parametrize("dialect", ["0002", "0003", "0006"])
def test_missing_arguments_are_named(dialect: str) -> None:
    with pytest.raises(CommandError, match=r"^missing required arguments: new, old$"):
        run("pushkey", dialect, {b"namespace": b"bookmarks", b"key": b"a"})


def test_nodes_that_are_no_byte_strings_are_refused_without_asking() -> None:
    with pytest.raises(CommandError, match="elements of argument nodes"):
        run("known", "0003", {b"nodes": [1]})


def test_hello_of_0002_gives_the_capabilities_as_a_greeting() -> None:
    async def describe() -> bytes:
        return b"lookup known"

    context: Any = SimpleNamespace(describe=describe)
    known = find("hello", "0002")
    shown = present(known, start(known, context, {}), DIALECTS["0002"])
    assert shown == b"capabilities: lookup known\n"


def test_the_facts_of_a_repository_come_from_its_description() -> None:
    description = described(
        capabilities=b"batch lookup httpheader=1024 known",
        compression=[b"zstd"],
        requirements=[b"revlogv1"],
        stream_allowed=False,
    )
    assert declarations.repository_facts(description) == RepositoryFacts(
        version1=b"batch lookup httpheader=1024 known",
        reduced=b"lookup known",
        compression=[b"zstd"],
        requirements=[b"revlogv1"],
    )


def test_writes_are_for_rw_only() -> None:
    writes = {known.name for known in declared() if known.permission is Permission.RW}
    assert writes == {"pushkey", "unbundle"}


def test_the_result_of_pushkey_keeps_the_output_for_those_who_can_show_it() -> None:
    known = find("pushkey", "0006")
    context: Any = SimpleNamespace(repository=Asked([True, b"x"]))
    keywords = read_arguments(known, PUSHED, DIALECTS["0006"])
    assert start(known, context, keywords) == WithOutput(True, b"x")  # noqa: FBT003 the value


def test_the_daemon_imports_the_declarations_without_mercurial() -> None:
    program = (
        "import sys; sys.modules['mercurial'] = None; "
        "import wiredaemon.repository.declarations, wiredaemon.net.workers.pool"
    )
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", program], check=True)


def test_the_literal_of_the_specification_is_what_the_dialect_reads() -> None:
    rules = DIALECTS["0003"].cbor
    decoded = cbor.decode_first(CAPABILITIES_0003, rules, Limits())
    assert cbor.encode(decoded, rules.key_order) == CAPABILITIES_0003  # type: ignore[arg-type]
