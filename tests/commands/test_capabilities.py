"""The API descriptor of each era, to the byte (commands, sections 2.1 and 4.3)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

import pytest

from wiredaemon.commands import REQUIRED, Argument, ArgumentType, Command, Permission
from wiredaemon.commands import capabilities as capabilities_module
from wiredaemon.commands.capabilities import RedirectTarget, RepositoryFacts, describe_api
from wiredaemon.commands.registry import Registry, marked_commands
from wiredaemon.commands.running import present, start
from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

DESCRIPTOR_0003: Final = (
    b"\xa4Hcommands\xa7Eheads\xa2Dargs\xa1Jpubliconly\xf4Kpermissions\x81DpullEknown\xa2Dargs"
    b"\xa1Enodes\x81HdeadbeefKpermissions\x81DpullFlookup\xa2Dargs\xa1CkeyCfooKpermissions\x81"
    b"DpullGpushkey\xa2Dargs\xa4CkeyCkeyCnewCnewColdColdInamespaceBnsKpermissions\x81DpushHlis"
    b"tkeys\xa2Dargs\xa1InamespaceBnsKpermissions\x81DpullIbranchmap\xa2Dargs\xa0Kpermissions"
    b"\x81DpullLcapabilities\xa2Dargs\xa0Kpermissions\x81DpullKcompression\x82\xa1DnameDzstd"
    b"\xa1DnameDzlibNrawrepoformats\x82LgeneraldeltaHrevlogv1Qframingmediatypes\x81X&applicati"
    b"on/mercurial-exp-framing-0003"
)
"""Source: commands, section 2.1."""

DESCRIPTOR_0006: Final = (
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

BYTES, BOOL, LIST = ArgumentType.BYTES, ArgumentType.BOOL, ArgumentType.LIST
_0006: Final = frozenset({"0006"})


def answer(_context: object, **_arguments: object) -> bytes:
    return b""


def declare(name: str, permission: Permission = Permission.RO, **declared: Any) -> Command:
    return Command(name=name, permission=permission, function=answer, **declared)


def fields(*valid: bytes) -> Argument:
    return Argument(
        type=ArgumentType.SET, default=frozenset(), valid_values=frozenset(valid), example=()
    )


def plain(kind: ArgumentType = BYTES, default: Any = REQUIRED, example: Any = b"") -> Argument:
    return Argument(type=kind, default=default, example=example)


VALUE_COMMANDS: Final = [
    declare("heads", arguments={"publiconly": plain(BOOL, default=False, example=False)}),
    declare("known", arguments={"nodes": plain(LIST, (), [b"deadbeef"])}),
    declare("lookup", arguments={"key": plain(example=b"foo")}),
    declare(
        "pushkey",
        Permission.RW,
        arguments={
            "namespace": plain(example=b"ns"),
            "key": plain(example=b"key"),
            "old": plain(example=b"old"),
            "new": plain(example=b"new"),
        },
    ),
    declare("listkeys", arguments={"namespace": plain(example=b"ns")}),
    declare("branchmap"),
]

HAVE_PARENTS: Final = plain(BOOL, default=False)
DATA_COMMANDS: Final = [
    declare(
        "changesetdata",
        dialects=_0006,
        arguments={
            "revisions": plain(LIST),
            "fields": fields(b"bookmarks", b"parents", b"phase", b"revision"),
        },
    ),
    declare(
        "filedata",
        dialects=_0006,
        arguments={
            "path": plain(),
            "nodes": plain(LIST),
            "fields": fields(b"linknode", b"parents", b"revision"),
            "haveparents": HAVE_PARENTS,
        },
    ),
    declare(
        "filesdata",
        dialects=_0006,
        arguments={
            "revisions": plain(LIST),
            "fields": fields(b"firstchangeset", b"linknode", b"parents", b"revision"),
            "haveparents": HAVE_PARENTS,
            "pathfilter": plain(ArgumentType.DICT, None),
        },
        details={b"recommendedbatchsize": 50000},
    ),
    declare(
        "manifestdata",
        dialects=_0006,
        arguments={
            "tree": plain(),
            "nodes": plain(LIST),
            "fields": fields(b"parents", b"revision"),
            "haveparents": HAVE_PARENTS,
        },
        details={b"recommendedbatchsize": 100000},
    ),
    declare(
        "rawstorefiledata",
        dialects=_0006,
        arguments={"files": plain(LIST), "pathfilter": plain(LIST, None)},
        needs_stream=True,
    ),
]

REGISTRY: Final = Registry([*marked_commands(capabilities_module), *VALUE_COMMANDS, *DATA_COMMANDS])

FACTS_0003: Final = RepositoryFacts(
    reduced=b"lookup branchmap",
    compression=[b"zstd", b"zlib"],
    requirements=[b"revlogv1", b"generaldelta"],
    stream_allowed=True,
)
FACTS_0006: Final = replace(
    FACTS_0003, requirements=[b"sparserevlog", b"revlogv1", b"generaldelta"]
)


def describe(
    dialect: str, facts: RepositoryFacts, *framings: str, registry: Registry = REGISTRY
) -> Any:
    spoken = DIALECTS[dialect]
    served = [DIALECTS[name] for name in framings or (dialect,)]
    return describe_api(registry, spoken, served, facts)


def encode(dialect: str, described: Any) -> bytes:
    return cbor.encode(described, DIALECTS[dialect].cbor.key_order)


def test_the_descriptor_of_0003_is_that_of_the_original_to_the_byte() -> None:
    assert encode("0003", describe("0003", FACTS_0003)) == DESCRIPTOR_0003


def test_the_descriptor_of_0006_is_that_of_the_original_to_the_byte() -> None:
    assert encode("0006", describe("0006", FACTS_0006)) == DESCRIPTOR_0006


@pytest.mark.parametrize("dialect", ["0004", "0005"])
def test_the_descriptors_of_0004_and_0005_differ_from_that_of_0003_by_the_framing(
    dialect: str,
) -> None:
    expected = DESCRIPTOR_0003.replace(b"framing-0003", b"framing-" + dialect.encode())
    assert encode(dialect, describe(dialect, FACTS_0003)) == expected


def test_0002_gives_the_version_1_capability_string() -> None:
    assert describe("0002", FACTS_0003) == b"lookup branchmap"
    assert describe("0002", RepositoryFacts()) == b""


def test_all_framings_of_the_api_are_named_in_order() -> None:
    described = describe("0003", FACTS_0003, "0003", "0005", "0002")
    assert described[b"framingmediatypes"] == [
        b"application/mercurial-exp-framing-0003",
        b"application/mercurial-exp-framing-0005",
        b"application/mercurial-exp-framing-0002",
    ]


def test_up_to_0005_requirements_are_shown_only_if_stream_clones_are_allowed() -> None:
    refused = replace(FACTS_0003, stream_allowed=False)
    described = describe("0003", refused)
    assert set(described) == {b"commands", b"compression", b"framingmediatypes"}


def test_0006_always_shows_requirements() -> None:
    refused = replace(FACTS_0006, stream_allowed=False)
    described = describe("0006", refused)
    assert described[b"rawrepoformats"] == [b"generaldelta", b"revlogv1", b"sparserevlog"]


def test_0006_leaves_out_commands_that_need_raw_store_access_without_it() -> None:
    allowed = describe("0006", FACTS_0006)
    refused = describe("0006", replace(FACTS_0006, stream_allowed=False))
    assert b"rawstorefiledata" in allowed[b"commands"]
    del allowed[b"commands"][b"rawstorefiledata"]
    assert refused == allowed


def test_earlier_dialects_leave_such_commands_out_too() -> None:
    registry = Registry([declare("raw", needs_stream=True)])
    refused = replace(FACTS_0003, stream_allowed=False)
    assert list(describe("0005", FACTS_0003, registry=registry)[b"commands"]) == [b"raw"]
    assert describe("0005", refused, registry=registry)[b"commands"] == {}


def test_0006_describes_what_there_is_without_a_repository() -> None:
    assert describe("0006", RepositoryFacts(), registry=Registry()) == {
        b"commands": {},
        b"framingmediatypes": [b"application/mercurial-exp-framing-0006"],
        b"pathfilterprefixes": frozenset({b"path:", b"rootfilesin:"}),
        b"rawrepoformats": [],
    }


def test_0003_describes_what_there_is_without_a_repository() -> None:
    assert describe("0003", RepositoryFacts(), registry=Registry()) == {
        b"commands": {},
        b"compression": [],
        b"framingmediatypes": [b"application/mercurial-exp-framing-0003"],
    }


USERS: Final = Registry(
    [
        declare("zz", Permission.RW, arguments={"greatly": plain(ArgumentType.INT, 3, 5)}),
        declare("aaa", arguments={"bb": plain(), "a": plain(example=b"x")}),
        declare("greatly"),
        declare("hidden", exposed=False),
        declare("old", dialects=frozenset({"0002"})),
    ]
)


def test_the_commands_of_users_are_described_with_keys_in_canonical_order_up_to_0005() -> None:
    described = describe("0005", RepositoryFacts(), registry=USERS)
    # Shorter keys first: zz, aaa, greatly (7 bytes); a, bb.
    assert encode("0005", described) == (
        b"\xa3Hcommands\xa3"
        b"Bzz\xa2Dargs\xa1Ggreatly\x05Kpermissions\x81Dpush"
        b"Caaa\xa2Dargs\xa2AaAxBbb@Kpermissions\x81Dpull"
        b"Ggreatly\xa2Dargs\xa0Kpermissions\x81Dpull"
        b"Kcompression\x80"
        b"Qframingmediatypes\x81X&application/mercurial-exp-framing-0005"
    )


def test_the_commands_of_users_are_described_with_keys_in_bytewise_order_by_0006() -> None:
    described = describe("0006", RepositoryFacts(), registry=USERS)
    # By the bytes of the keys: aaa, greatly, zz; default, required, type.
    assert encode("0006", described) == (
        b"\xa4Hcommands\xa3"
        b"Caaa\xa2Dargs\xa2Aa\xa2Hrequired\xf5DtypeEbytesBbb\xa2Hrequired\xf5DtypeEbytes"
        b"Kpermissions\x81Dpull"
        b"Ggreatly\xa2Dargs\xa0Kpermissions\x81Dpull"
        b"Bzz\xa2Dargs\xa1Ggreatly"
        b"\xa3Gdefault\x03Hrequired\xf4DtypeCintKpermissions\x81Dpush"
        b"Qframingmediatypes\x81X&application/mercurial-exp-framing-0006"
        b"Rpathfilterprefixes\xd9\x01\x02\x82Epath:Lrootfilesin:"
        b"Nrawrepoformats\x80"
    )


TYPED: Final = Registry(
    [
        declare(
            "scale",
            arguments={
                "factor": Argument(type=ArgumentType.FLOAT, default=1.5),
                "names": Argument(
                    type=ArgumentType.DICT, elements=ArgumentType.TEXT, default={b"a": "ö"}
                ),
                "weights": Argument(type=ArgumentType.SET, default={0.5}),
            },
        )
    ]
)


def test_0006_describes_elements_and_floats_by_their_texts() -> None:
    described: Any = describe("0006", RepositoryFacts(), registry=TYPED)
    assert described[b"commands"][b"scale"][b"args"] == {
        b"factor": {b"required": False, b"type": b"float", b"default": b"1.5"},
        b"names": {
            b"required": False,
            b"type": b"dict",
            b"default": {b"a": "ö"},
            b"elements": b"text",
        },
        b"weights": {b"required": False, b"type": b"set", b"default": {b"0.5"}},
    }


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
def test_descriptors_with_floats_and_texts_can_be_sent_in_every_dialect(dialect: str) -> None:
    assert b"factor" in encode(dialect, describe(dialect, RepositoryFacts(), registry=TYPED))


SOME: Final = frozenset({3, 1, 2})
NUMBERED: Final = Registry(
    [
        declare(
            f"level{number}",
            arguments={
                "level": Argument(type=ArgumentType.INT, default=1, valid_values=SOME),
                "some": Argument(type=ArgumentType.SET, default=set(SOME), example=[SOME]),
                "names": Argument(type=ArgumentType.SET, default={b"a"}),
            },
        )
        for number in range(20)
    ]
)


@pytest.mark.parametrize("dialect", ["0003", "0006"])
def test_descriptions_of_many_commands_with_sets_of_numbers_can_be_read(dialect: str) -> None:
    sent = encode(dialect, describe(dialect, RepositoryFacts(), registry=NUMBERED))
    read: Any = cbor.decode_first(sent, DIALECTS[dialect].cbor, Limits())
    args = read[b"commands"][b"level19"][b"args"]
    if dialect == "0003":
        assert args == {b"level": 0, b"some": [[1, 2, 3]], b"names": []}
        assert b"\xd9\x01\x02" not in sent  # framing, section 5.4: no sets there
        return
    assert args[b"level"][b"validvalues"] == args[b"some"][b"default"] == [1, 2, 3]
    assert args[b"names"][b"default"] == {b"a"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_command_gives_what_the_request_s_api_offers(dialect: str) -> None:
    async def described() -> bytes:
        return b"all of it"

    context: Any = SimpleNamespace(describe=described)
    known = REGISTRY.find(b"capabilities", DIALECTS[dialect])
    assert known is not None
    assert present(known, start(known, context, {}), DIALECTS[dialect]) == b"all of it"


PLAIN_TARGET: Final = RedirectTarget(
    name=b"plain", protocol=b"http", uris=[b"http://example.org/hg/"]
)
TLS_TARGET: Final = RedirectTarget(
    name=b"tls",
    protocol=b"https",
    uris=[b"https://example.org/hg/"],
    sni_required=True,
    tls_versions=[b"1.2", b"1.3"],
)


def test_0006_describes_redirect_targets() -> None:
    facts = RepositoryFacts(redirect_targets=[PLAIN_TARGET, TLS_TARGET])
    described = describe("0006", facts, registry=Registry())
    # commands 4.3
    assert encode("0006", described[b"redirect"]) == (
        b"\xa2Fhashes\x82Fsha256Dsha1Gtargets\x82"
        b"\xa3DnameEplainHprotocolDhttpDuris\x81Vhttp://example.org/hg/"
        b"\xa5DnameCtlsHprotocolEhttpsKsnirequired\xf5Ktlsversions\x82C1.2C1.3"
        b"Duris\x81Whttps://example.org/hg/"
    )
    without = describe("0006", RepositoryFacts(), registry=Registry())
    del described[b"redirect"]
    assert described == without


def test_an_order_to_require_no_sni_is_told_too() -> None:
    facts = RepositoryFacts(redirect_targets=[replace(PLAIN_TARGET, sni_required=False)])
    (target,) = describe("0006", facts, registry=Registry())[b"redirect"][b"targets"]
    assert target[b"snirequired"] is False


@pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005"])
def test_earlier_dialects_know_no_redirects(dialect: str) -> None:
    facts = RepositoryFacts(redirect_targets=[PLAIN_TARGET])
    assert describe(dialect, facts) == describe(dialect, RepositoryFacts())
