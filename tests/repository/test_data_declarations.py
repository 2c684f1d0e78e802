"""The data commands as they are declared, without any Mercurial."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.commands import CommandError
from wiredaemon.commands.capabilities import RepositoryFacts, capabilities, describe_api
from wiredaemon.commands.declaration import MARK
from wiredaemon.commands.registry import Registry, marked_commands
from wiredaemon.commands.running import read_arguments, start
from wiredaemon.repository import data_declarations, declarations
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Command

DIALECT = DIALECTS["0006"]
NAMES = ["changesetdata", "filedata", "filesdata", "manifestdata", "rawstorefiledata"]

CAPABILITIES = (
    b"\xa4Hcommands\xacIbranchmap\xa2Dargs\xa0Kpermissions\x81DpullLcapabilities\xa2Dargs\xa0K"
    b"permissions\x81DpullMchangesetdata\xa2Dargs\xa2Ffields\xa4Gdefault\xd9\x01\x02\x80Hrequi"
    b"red\xf4DtypeCsetKvalidvalues\xd9\x01\x02\x84IbookmarksGparentsEphaseHrevisionIrevisions"
    b"\xa2Hrequired\xf5DtypeDlistKpermissions\x81DpullHfiledata\xa2Dargs\xa4Ffields\xa4Gdefaul"
    b"t\xd9\x01\x02\x80Hrequired\xf4DtypeCsetKvalidvalues\xd9\x01\x02\x83HlinknodeGparentsHrev"
    b"isionKhaveparents\xa3Gdefault\xf4Hrequired\xf4DtypeDboolEnodes\xa2Hrequired\xf5DtypeDlis"
    b"tDpath\xa2Hrequired\xf5DtypeEbytesKpermissions\x81DpullIfilesdata\xa3Dargs\xa4Ffields"
    b"\xa4Gdefault\xd9\x01\x02\x80Hrequired\xf4DtypeCsetKvalidvalues\xd9\x01\x02\x84Nfirstchan"
    b"gesetHlinknodeGparentsHrevisionKhaveparents\xa3Gdefault\xf4Hrequired\xf4DtypeDboolJpathf"
    b"ilter\xa3Gdefault\xf6Hrequired\xf4DtypeDdictIrevisions\xa2Hrequired\xf5DtypeDlistKpermis"
    b"sions\x81DpullTrecommendedbatchsize\x19\xc3PEheads\xa2Dargs\xa1Jpubliconly\xa3Gdefault"
    b"\xf4Hrequired\xf4DtypeDboolKpermissions\x81DpullEknown\xa2Dargs\xa1Enodes\xa3Gdefault"
    b"\x80Hrequired\xf4DtypeDlistKpermissions\x81DpullHlistkeys\xa2Dargs\xa1Inamespace\xa2Hreq"
    b"uired\xf5DtypeEbytesKpermissions\x81DpullFlookup\xa2Dargs\xa1Ckey\xa2Hrequired\xf5DtypeE"
    b"bytesKpermissions\x81DpullLmanifestdata\xa3Dargs\xa4Ffields\xa4Gdefault\xd9\x01\x02\x80H"
    b"required\xf4DtypeCsetKvalidvalues\xd9\x01\x02\x82GparentsHrevisionKhaveparents\xa3Gdefau"
    b"lt\xf4Hrequired\xf4DtypeDboolEnodes\xa2Hrequired\xf5DtypeDlistDtree\xa2Hrequired\xf5Dtyp"
    b"eEbytesKpermissions\x81DpullTrecommendedbatchsize\x1a\x00\x01\x86\xa0Gpushkey\xa2Dargs"
    b"\xa4Ckey\xa2Hrequired\xf5DtypeEbytesInamespace\xa2Hrequired\xf5DtypeEbytesCnew\xa2Hrequi"
    b"red\xf5DtypeEbytesCold\xa2Hrequired\xf5DtypeEbytesKpermissions\x81DpushPrawstorefiledata"
    b"\xa2Dargs\xa2Efiles\xa2Hrequired\xf5DtypeDlistJpathfilter\xa3Gdefault\xf6Hrequired\xf4Dt"
    b"ypeDlistKpermissions\x81DpullQframingmediatypes\x81X&application/mercurial-exp-framing-0"
    b"006Rpathfilterprefixes\xd9\x01\x02\x82Epath:Lrootfilesin:Nrawrepoformats\x83Lgeneraldelt"
    b"aHrevlogv1Lsparserevlog"
)
"""Source: commands, section 4.3."""


def registry() -> Registry:
    modules = (declarations, data_declarations)
    marked = [known for module in modules for known in marked_commands(module)]
    return Registry([*marked, getattr(capabilities, MARK)])


def find(name: str) -> Command:
    found = registry().find(name.encode(), DIALECT)
    assert found is not None
    return found


def asked(name: str, arguments: object) -> tuple[bytes, Mapping[bytes, object]]:
    """What the repository is asked to stream."""
    context: Any = SimpleNamespace(
        repository=SimpleNamespace(stream=lambda command, arguments: (command, arguments))
    )
    known = find(name)
    result: Any = start(known, context, read_arguments(known, arguments, DIALECT))
    return result  # type: ignore[no-any-return]


def facts(*, stream_allowed: bool) -> RepositoryFacts:
    requirements = [b"sparserevlog", b"generaldelta", b"revlogv1"]
    return RepositoryFacts(requirements=requirements, stream_allowed=stream_allowed)


def test_the_capabilities_of_0006_are_those_of_the_original_to_the_byte() -> None:
    described = describe_api(registry(), DIALECT, [DIALECT], facts(stream_allowed=True))
    assert cbor.encode(described, DIALECT.cbor.key_order) == CAPABILITIES


def test_the_raw_store_is_offered_only_where_it_is_allowed() -> None:
    described: Any = describe_api(registry(), DIALECT, [DIALECT], facts(stream_allowed=False))
    assert set(map(str.encode, NAMES)) - set(described[b"commands"]) == {b"rawstorefiledata"}


@pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005"])
@pytest.mark.parametrize("name", NAMES)
def test_earlier_dialects_have_no_data_commands(dialect: str, name: str) -> None:
    assert registry().find(name.encode(), DIALECTS[dialect]) is None


@pytest.mark.parametrize(
    ("name", "given", "defaults"),
    [
        ("changesetdata", {b"revisions": []}, {b"fields": frozenset()}),
        (
            "filedata",
            {b"path": b"a", b"nodes": []},
            {b"fields": frozenset(), b"haveparents": False},
        ),
        (
            "filesdata",
            {b"revisions": []},
            {b"fields": frozenset(), b"haveparents": False, b"pathfilter": None},
        ),
        (
            "manifestdata",
            {b"tree": b"", b"nodes": []},
            {b"fields": frozenset(), b"haveparents": False},
        ),
        ("rawstorefiledata", {b"files": [b"changelog"]}, {b"pathfilter": None}),
    ],
)
def test_a_worker_is_asked_with_all_arguments(
    name: str, given: dict[bytes, object], defaults: dict[bytes, object]
) -> None:
    assert asked(name, given) == (name.encode(), {**given, **defaults})


def test_fields_may_come_as_an_array() -> None:
    given = {b"revisions": [], b"fields": [b"parents", b"parents"]}
    assert asked("changesetdata", given)[1][b"fields"] == frozenset({b"parents"})


@pytest.mark.parametrize("name", ["changesetdata", "filesdata"])
@pytest.mark.parametrize("revisions", [None, {}, b"x"])
def test_revisions_that_are_no_array_are_refused_in_the_words_of_the_original(
    name: str, revisions: object
) -> None:
    with pytest.raises(CommandError) as caught:
        asked(name, {b"revisions": revisions})
    assert caught.value.message == b"revisions must be defined as an array"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rawstorefiledata"])
def test_unknown_fields_are_refused(name: str) -> None:
    given = {b"revisions": [], b"path": b"", b"tree": b"", b"nodes": []}
    known = {argument.encode() for argument in find(name).arguments}
    arguments = {key: value for key, value in given.items() if key in known}
    with pytest.raises(CommandError, match="argument fields does not accept x"):
        asked(name, {**arguments, b"fields": frozenset({b"x"})})


def test_the_daemon_imports_the_declarations_without_mercurial() -> None:
    program = (
        "import sys; sys.modules['mercurial'] = None; "
        "import wiredaemon.repository.data_declarations"
    )
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", program], check=True)
