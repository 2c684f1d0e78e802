"""The capabilities handshake: http, section 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.peers import item, parse_frames, read_answers
from support.web import (
    API,
    FIRST,
    MEDIA,
    OPEN,
    SECOND,
    FakeHost,
    Web,
    ask,
    dummy_commands,
    fixed_answer,
    frames_of,
    posted,
    requests,
)

from wiredaemon.commands import capabilities as capabilities_module
from wiredaemon.commands.capabilities import RepositoryFacts
from wiredaemon.commands.registry import marked_commands
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION1: Final = b"batch branchmap bundle2=HG20%0Abookmarks httpheader=1024 lookup"
FACTS: Final = RepositoryFacts(
    version1=VERSION1,
    reduced=b"branchmap lookup",
    compression=[b"zstd", b"zlib"],
    requirements=[b"revlogv1", b"generaldelta"],
    stream_allowed=True,
)
PLAIN: Final = fixed_answer(
    "200 Script output follows", VERSION1, "Content-Type: application/mercurial-0.1"
)
"""The version 1 answer."""


def host_of(*, access: AccessRules = OPEN, switches: ApiSwitches | None = None) -> FakeHost:
    commands = [*marked_commands(capabilities_module), *dummy_commands()]
    settings = Settings(
        switches=switches or ApiSwitches(),
        access=access,
        facts=FACTS,
    )
    return FakeHost(commands, settings=settings)


def upgrade(names: str, protocols: str = "cbor") -> dict[str, str]:
    return {"X-HgUpgrade-1": names, "X-HgProto-1": protocols}


def shake(web: Web, headers: Mapping[str, str], *, method: str = "GET") -> bytes:
    return web.exchange(ask(method, "/?cmd=capabilities", headers))


DESCRIPTOR_0003: Final[Mapping[bytes, object]] = {
    b"commands": {
        b"capabilities": {b"args": {}, b"permissions": [b"pull"]},
        b"customreadonly": {b"args": {}, b"permissions": [b"pull"]},
        b"customreadwrite": {b"args": {}, b"permissions": [b"push"]},
    },
    b"compression": [{b"name": b"zstd"}, {b"name": b"zlib"}],
    b"framingmediatypes": [b"application/mercurial-exp-framing-0003"],
    b"rawrepoformats": [b"generaldelta", b"revlogv1"],
}
DESCRIPTOR_0005: Final = {
    **DESCRIPTOR_0003,
    b"framingmediatypes": [b"application/mercurial-exp-framing-0005"],
}
DESCRIPTOR_0006: Final[Mapping[bytes, object]] = {
    b"commands": DESCRIPTOR_0003[b"commands"],
    b"framingmediatypes": [b"application/mercurial-exp-framing-0006"],
    b"pathfilterprefixes": {b"path:", b"rootfilesin:"},
    b"rawrepoformats": [b"generaldelta", b"revlogv1"],
}
DESCRIPTORS: Final = {
    "0003": DESCRIPTOR_0003,
    "0005": DESCRIPTOR_0005,
    "0006": DESCRIPTOR_0006,
}
ERAS: Final = pytest.mark.parametrize("era", DESCRIPTORS)


def cbor_answer(apis: Mapping[bytes, object], *, canonical: bool) -> bytes:
    content = {b"apibase": b"api/", b"apis": apis, b"v1capabilities": VERSION1}
    return fixed_answer(
        "200 OK", item(content, canonical=canonical), "Content-Type: application/mercurial-cbor"
    )


def upgraded(era: str) -> bytes:
    """The answer to whoever asks for the API of one framing, the only one there is."""
    return cbor_answer({API[era].encode(): DESCRIPTORS[era]}, canonical=era != "0006")


# --- the version 1 answer ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-HgUpgrade-1": f"{FIRST} {SECOND}"},
        {"X-HgProto-1": "cbor"},
        upgrade(f"{FIRST} {SECOND}", "0.1 0.2 comp=zstd"),
        upgrade(f"{FIRST} {SECOND}", "CBOR"),
        upgrade(f"{FIRST} {SECOND}", "xcbor"),
        upgrade("", "cbor"),
        upgrade(" ", "cbor"),
        upgrade(FIRST, ""),
        {"X-HgUpgrade": FIRST, "X-HgProto": "cbor"},
        {"X-HgUpgrade-0": FIRST, "X-HgProto-0": "cbor"},
        {"X-HgUpgrade-2": FIRST, "X-HgProto-2": "cbor"},
    ],
)
def test_whoever_does_not_ask_for_more_gets_version_1(method: str, headers: dict[str, str]) -> None:
    assert shake(Web(host=host_of()), headers, method=method) == PLAIN


def test_head_is_answered_with_the_head_alone() -> None:
    assert shake(Web(host=host_of()), {}, method="HEAD") == PLAIN[: -len(VERSION1)]


def test_0002_knows_no_upgrade() -> None:
    assert shake(Web("0002", host=host_of()), upgrade(FIRST)) == PLAIN


@pytest.mark.parametrize("http_v2", [False, True])
def test_without_the_api_server_there_is_no_upgrade(http_v2: bool) -> None:  # noqa: FBT001 parameter
    host = host_of(switches=ApiSwitches(enabled=False, http_v2=http_v2))
    assert shake(Web(host=host), upgrade(f"{FIRST} {SECOND}")) == PLAIN


# --- the map of APIs ---------------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("protocols", ["cbor", "0.1 cbor comp=zstd", "0.2  cbor"])
def test_whoever_asks_gets_a_map_with_the_descriptor(era: str, method: str, protocols: str) -> None:
    web = Web(era, host=host_of())
    assert shake(web, upgrade(API[era], protocols), method=method) == upgraded(era)


def test_the_keys_are_in_the_order_of_their_era() -> None:
    old = shake(Web("0003", host=host_of()), upgrade("zz")).partition(b"\r\n\r\n")[2]
    assert old == (
        b"\xa3Dapis\xa0GapibaseDapi/Nv1capabilitiesX\x3f"
        b"batch branchmap bundle2=HG20%0Abookmarks httpheader=1024 lookup"
    )
    new = shake(Web("0006", host=host_of()), upgrade("zz")).partition(b"\r\n\r\n")[2]
    assert new == (
        b"\xa3GapibaseDapi/Dapis\xa0Nv1capabilitiesX\x3f"
        b"batch branchmap bundle2=HG20%0Abookmarks httpheader=1024 lookup"
    )


def test_a_server_of_both_apis_uses_the_order_of_0006() -> None:
    web = Web("0003", "0006", host=host_of())
    first, second = FIRST.encode(), SECOND.encode()
    assert shake(web, upgrade(f"{SECOND} {FIRST}")) == cbor_answer(
        {first: DESCRIPTOR_0003, second: DESCRIPTOR_0006}, canonical=False
    )
    assert shake(web, upgrade(FIRST)) == cbor_answer({first: DESCRIPTOR_0003}, canonical=False)
    assert shake(web, upgrade(SECOND)) == cbor_answer({second: DESCRIPTOR_0006}, canonical=False)


def test_the_framings_of_an_api_are_listed_in_order() -> None:
    web = Web("0005", "0002", "0003", host=host_of())
    media = [MEDIA[era].encode() for era in ("0005", "0002", "0003")]
    assert shake(web, upgrade(FIRST)) == cbor_answer(
        {FIRST.encode(): {**DESCRIPTOR_0003, b"framingmediatypes": media}}, canonical=True
    )


@ERAS
@pytest.mark.parametrize("name", ["zz", "EXP-HTTP-V2-0001", "exp-http-v2-000", "exp-http-v2-0002"])
def test_an_unknown_name_gives_an_empty_map(era: str, name: str) -> None:
    web = Web(era, host=host_of())
    assert shake(web, upgrade(name)) == cbor_answer({}, canonical=era != "0006")


@ERAS
def test_unknown_names_beside_a_known_one_are_ignored(era: str) -> None:
    web = Web(era, host=host_of())
    assert shake(web, upgrade(f"zz {API[era]}  yy")) == upgraded(era)


@ERAS
def test_an_api_that_is_not_enabled_is_not_in_the_map(era: str) -> None:
    host = host_of(switches=ApiSwitches(http_v2=False))
    answer = shake(Web(era, host=host), upgrade(f"{FIRST} {SECOND}"))
    assert answer == cbor_answer({}, canonical=True)


# --- numbered headers --------------------------------------------------------------------------


@ERAS
@pytest.mark.parametrize("cut", [1, 5, 15])
def test_numbered_headers_are_joined_without_a_separator(era: str, cut: int) -> None:
    name = API[era]
    web = Web(era, host=host_of())
    headers = {
        "X-HgUpgrade-2": name[cut:],
        "x-hgupgrade-1": name[:cut],
        "X-HGPROTO-1": "cb",
        "X-HgProto-3": "r",
        "X-HgProto-2": "o",
    }
    assert shake(web, headers) == upgraded(era)


@ERAS
def test_numbered_headers_end_at_the_first_missing_number(era: str) -> None:
    web = Web(era, host=host_of())
    headers = upgrade("zz") | {"X-HgUpgrade-3": f" {API[era]}"}
    assert shake(web, headers) == cbor_answer({}, canonical=era != "0006")
    assert shake(web, {"X-HgProto-1": "cb", "X-HgProto-3": "or"}) == PLAIN


@ERAS
def test_a_long_list_may_take_many_headers(era: str) -> None:
    web = Web(era, host=host_of())
    headers = {"X-HgProto-1": "cbor"}
    headers |= {f"X-HgUpgrade-{at}": char for at, char in enumerate(API[era], start=1)}
    assert shake(web, headers) == upgraded(era)


# --- authorization -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", [{}, upgrade(f"{FIRST} {SECOND}")])
@pytest.mark.parametrize(
    ("access", "message"),
    [
        (AccessRules(deny_read=("*",)), "read not authorized"),
        (AccessRules(deny_read=("ann",)), "read not authorized"),
        (AccessRules(allow_read=("ann",)), "read not authorized"),
        (AccessRules(allow_pull=False), "pull not authorized"),
    ],
)
def test_whoever_may_not_pull_is_told_in_the_form_of_version_1(
    method: str, headers: dict[str, str], access: AccessRules, message: str
) -> None:
    web = Web(host=host_of(access=access))
    assert shake(web, headers, method=method) == fixed_answer(
        f"401 {message}", b"0\n" + message.encode() + b"\n"
    )


def test_the_exact_bytes_of_a_denial() -> None:
    web = Web(host=host_of(access=AccessRules(deny_read=("*",))))
    assert shake(web, {}) == (
        b"HTTP/1.1 401 read not authorized\r\nContent-Length: 22\r\n\r\n0\nread not authorized\n"
    )


@pytest.mark.parametrize("target", ["/foo?cmd=capabilities", "/foo?cmd=heads", "/a/b?cmd=x"])
def test_a_command_below_the_repository_is_not_found(target: str) -> None:
    assert Web(host=host_of()).exchange(ask("GET", target)) == fixed_answer(
        "404 Not Found", b"0\nNot Found\n", "Content-Type: application/mercurial-0.1"
    )


def test_a_repository_below_a_prefix_has_its_own_handshake() -> None:
    web = Web("0003", hosts={"/team": host_of()})
    for target in ("/team?cmd=capabilities", "/team/?cmd=capabilities"):
        assert web.exchange(ask("GET", target, upgrade(FIRST))) == upgraded("0003")


# --- the command of the same name --------------------------------------------------------------


@ERAS
def test_the_descriptor_is_what_the_capabilities_command_gives(era: str) -> None:
    web = Web(era, host=host_of())
    answer = web.exchange(posted(era, "capabilities", requests(era, b"capabilities")))
    frames = parse_frames(b"".join(frames_of(era, answer)))
    status = b"" if era == "0003" else b"\xa1FstatusBok"
    expected = status + item(DESCRIPTORS[era], canonical=era != "0006")
    assert read_answers(era, frames)[1].content == expected


def test_the_command_of_0002_gives_the_reduced_version_1_string() -> None:
    web = Web("0002", host=host_of())
    answer = web.exchange(posted("0002", "capabilities", requests("0002", b"capabilities")))
    frames = parse_frames(b"".join(frames_of("0002", answer)))
    assert read_answers("0002", frames)[1].content == b"branchmap lookup"
