"""Which requests of version 1 are answered with what was kept, and which of them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from wiredaemon.net.cache.clone_requests import CloneRequest, clone_request
from wiredaemon.repository.clone_bundles import ATTEMPT_COUNTS
from wiredaemon.repository.web_calls import WebRequest

if TYPE_CHECKING:
    from wiredaemon.repository.stat_signatures import StatSignatures

NULL: Final = "0" * 40
NODE: Final = "1" * 40
ARGUMENTS: Final = f"bundlecaps=HG20&cg=1&common={NULL}&heads={NODE}&phases=1"
STATE: Final[StatSignatures] = ((1, 2, 3, 4), None)


def request(query: str = "cmd=getbundle", *headers: tuple[str, str], **changes: Any) -> WebRequest:
    named = {
        "method": b"GET",
        "query": query.encode(),
        "headers": tuple((name.encode(), value.encode()) for name, value in headers),
        "server_name": b"localhost",
        "server_port": 80,
    }
    return WebRequest(**{**named, **changes})


def asked(*arguments: Any, body: bytes = b"", user: bytes = b"", **changes: Any) -> CloneRequest:
    found = clone_request(request(*arguments, **changes), body, user)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "arguments",
    ["", "common=", f"common={NULL}", f"common={NULL}+{NULL}&stream=1&cbattempted=0", ARGUMENTS],
)
def test_arguments_of_a_client_that_has_nothing(arguments: str) -> None:
    in_query = asked(f"cmd=getbundle&{arguments}")
    in_headers = asked("cmd=getbundle", ("X-HgArg-1", arguments[:9]), ("x-hgarg-2", arguments[9:]))
    length = ("X-HgArgs-Post", str(len(arguments)))
    posted = [length] if arguments else []
    in_body = asked("cmd=getbundle", *posted, body=arguments.encode(), method=b"POST")
    assert in_query == in_headers == in_body
    assert in_query.arguments[b"cmd"] == b"getbundle"


def test_the_copy_of_a_store_is_a_whole_repository() -> None:
    assert asked("cmd=stream_out").arguments == {b"cmd": b"stream_out"}


@pytest.mark.parametrize(
    ("query", "headers", "changes"),
    [
        ("cmd=heads", (), {}),
        ("", (), {}),
        (f"cmd=getbundle&common={NODE}", (), {}),
        (f"cmd=getbundle&common={NULL}+{NODE}", (), {}),
        ("cmd=getbundle&access-hidden=1", (), {}),
        ("cmd=getbundle&narrow=1", (), {}),
        ("cmd=stream_out&heads=1", (), {}),
        ("cmd=getbundle&cmd=getbundle", (), {}),
        (f"cmd=getbundle&common={NULL}&common={NODE}", (), {}),
        (f"cmd=getbundle&common={NULL}", (("X-HgArg-1", f"common={NODE}"),), {}),
        ("cmd=getbundle", (("X-HgProto-1", "0.1"), ("x-hgproto-1", "0.2")), {}),
        ("cmd=getbundle", (("X-HgArgs-Post", "3"),), {}),
        ("&".join(["cmd=getbundle", *("heads=" for _ in range(100))]), (), {}),
        ("cmd=getbundle", (), {"method": b"HEAD"}),
        ("cmd=getbundle", (), {"path_info": b"/file"}),
    ],
)
def test_any_other_request_goes_to_a_worker(
    query: str, headers: tuple[tuple[str, str], ...], changes: dict[str, Any]
) -> None:
    assert clone_request(request(query, *headers, **changes), b"", b"") is None


@pytest.mark.parametrize("length", [(), (("X-HgArgs-Post", "2"),), (("X-HgArgs-Post", "04"),)])
def test_a_body_that_is_more_than_arguments_goes_to_a_worker(
    length: tuple[tuple[str, str], ...],
) -> None:
    assert clone_request(request("cmd=getbundle", *length, method=b"POST"), b"cg=1", b"") is None


def test_each_part_of_a_request_makes_another_key() -> None:
    proto = ("X-HgProto-1", "0.1 0.2 comp=zstd")
    requests = [
        asked(),
        asked("cmd=stream_out"),
        asked(f"cmd=getbundle&{ARGUMENTS}"),
        asked("cmd=getbundle&stream=1"),
        asked("cmd=getbundle", proto),
        asked("cmd=getbundle", ("X-HgProto-1", "0.1 0.2"), ("X-HgProto-2", " comp=zlib")),
        asked(user=b"ann"),
    ]
    keys = [each.keys(b"/r", b"described", STATE).entry for each in requests]
    others = [
        asked().keys(b"/s", b"described", STATE).entry,
        asked().keys(b"/r", b"otherwise", STATE).entry,
        asked().keys(b"/r", b"described", ((1, 2, 3, 5), None)).entry,
    ]
    assert len({*keys, *others}) == len(keys) + len(others)
    assert asked().keys(b"/r", b"described", STATE).entry == keys[0]


def test_whether_bundles_were_asked_for_makes_another_key_only_where_it_counts() -> None:
    requests = [asked(), *(asked(f"cmd=getbundle&cbattempted={value}") for value in (0, 1))]

    def keys(described: bytes) -> set[str]:
        return {each.keys(b"/r", described, STATE).entry for each in requests}

    assert len(keys(b"described")) == 1
    assert len(keys(b"described" + ATTEMPT_COUNTS)) == 3


def test_headers_that_do_not_count_make_no_other_key() -> None:
    plain = asked("cmd=getbundle", ("X-HgProto-1", "0.1"))
    more = asked(
        "cmd=getbundle", ("User-Agent", "x"), ("Via", "a"), ("Via", "b"), ("X-HgProto-1", "0.1")
    )
    assert plain == more
