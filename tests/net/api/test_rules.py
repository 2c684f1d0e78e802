"""Which answer a request head gets: http, sections 3.1 to 3.3, row by row and in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.environment import DUMMY_COMMANDS

from wiredaemon.commands import Peer, Permission
from wiredaemon.commands.registry import Registry, load_commands, marked_commands
from wiredaemon.net.api.rules import Accepted, CommandHead, Reflected, check_api_path, check_command
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.http.application import Api
from wiredaemon.net.http.responses import HttpResponse
from wiredaemon.repository import declarations
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST: Final = b"exp-http-v2-0001"
SECOND: Final = b"exp-http-v2-0003"
TEXT: Final = ((b"Content-Type", b"text/plain"),)
MEDIA: Final = {
    "0002": b"application/mercurial-exp-framing-0002",
    "0003": b"application/mercurial-exp-framing-0003",
    "0005": b"application/mercurial-exp-framing-0005",
    "0006": b"application/mercurial-exp-framing-0006",
}
ERAS: Final = pytest.mark.parametrize("era", MEDIA)
INDEX: Final = b"APIs can be accessed at /api/<name>, where <name> can be one of the following:\n\n"
ON: Final = ApiSwitches()
HTTP: Final = Peer(address="peer:1")
OPEN: Final = AccessRules(push_ssl=False, allow_push=("*",))


def api_of(*eras: str, name: bytes | None = None) -> Api:
    chosen = name or (SECOND if "0006" in eras else FIRST)
    return Api(name=chosen, framings=[DIALECTS[era] for era in eras])


BOTH: Final = (api_of("0006"), api_of("0003", "0005", "0002"))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([*marked_commands(declarations), *load_commands([str(DUMMY_COMMANDS)])])


def missing(body: bytes) -> HttpResponse:
    return HttpResponse(status=404, reason=b"Not Found", headers=TEXT, body=body)


def fine(body: bytes) -> HttpResponse:
    return HttpResponse(status=200, reason=b"OK", headers=TEXT, body=body)


# --- rows 1 to 6: the path ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [(), (b"",), (FIRST,), (b"unknown",), (FIRST, b"ro"), (FIRST, b"ro", b"customreadonly")]
)
@pytest.mark.parametrize("http_v2", [False, True])
def test_no_path_below_api_is_known_when_the_api_server_is_off(
    path: Sequence[bytes],
    http_v2: bool,  # noqa: FBT001 parameter
) -> None:
    switches = ApiSwitches(enabled=False, http_v2=http_v2, debugreflect=True)
    assert check_api_path(BOTH, switches, path) == HttpResponse(
        status=400, reason=b"no such method: api", headers=TEXT, body=b"no such method: api\n"
    )


def test_the_index_names_the_enabled_apis_in_order() -> None:
    assert check_api_path(BOTH, ON, []) == fine(INDEX + b"exp-http-v2-0001\nexp-http-v2-0003")
    one = fine(INDEX + b"exp-http-v2-0001")
    assert len(one.body) == 96
    assert check_api_path([api_of("0003")], ON, []) == one


@pytest.mark.parametrize(
    ("apis", "http_v2"), [((), True), ((), False), (BOTH, False)], ids=["none", "neither", "off"]
)
def test_the_index_says_that_no_api_is_enabled(
    apis: Sequence[Api],
    http_v2: bool,  # noqa: FBT001 parameter
) -> None:
    answer = fine(INDEX + b"(no available APIs)\n")
    assert len(answer.body) == 100
    assert check_api_path(apis, ApiSwitches(http_v2=http_v2), []) == answer


@pytest.mark.parametrize("name", [b"unknown", b"", b"EXP-HTTP-V2-0001", b"\xc3\xa9", b"a\nb"])
@pytest.mark.parametrize("rest", [(), (b"ro",), (b"ro", b"heads")])
def test_an_unknown_api_is_named_with_those_that_are_enabled(
    name: bytes, rest: Sequence[bytes]
) -> None:
    path = [name, *rest]
    assert check_api_path(BOTH, ON, path) == missing(
        b"Unknown API: " + name + b"\nKnown APIs: exp-http-v2-0001, exp-http-v2-0003"
    )
    assert check_api_path(BOTH, ApiSwitches(http_v2=False), path) == missing(
        b"Unknown API: " + name + b"\nKnown APIs: "
    )


def test_an_api_that_the_configuration_leaves_out_is_unknown() -> None:
    assert check_api_path([api_of("0006")], ON, [FIRST]) == missing(
        b"Unknown API: exp-http-v2-0001\nKnown APIs: exp-http-v2-0003"
    )


@pytest.mark.parametrize("rest", [(), (b"ro",), (b"zz",), (b"ro", b"heads")])
@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_an_api_that_is_off_says_so_at_every_path(name: bytes, rest: Sequence[bytes]) -> None:
    assert check_api_path(BOTH, ApiSwitches(http_v2=False), [name, *rest]) == missing(
        b"API " + name + b" not enabled\n"
    )


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_an_api_answers_at_its_root(name: bytes) -> None:
    assert check_api_path(BOTH, ON, [name]) == fine(b"HTTP version 2 API handler")


@pytest.mark.parametrize("permission", [b"ro", b"rw", b"unknown", b"", b"\xff"])
def test_a_permission_without_a_command_is_nothing(permission: bytes) -> None:
    assert check_api_path(BOTH, ON, [FIRST, permission]) == missing(
        b"do not know how to process api/exp-http-v2-0001/" + permission + b"\n"
    )


@pytest.mark.parametrize(
    "rest", [(b"ro", b"heads"), (b"", b""), (b"zz", b"heads"), (b"rw", b"heads", b"more", b"x")]
)
def test_a_path_with_a_command_names_its_api(rest: Sequence[bytes]) -> None:
    assert check_api_path(BOTH, ON, [FIRST, *rest]) == BOTH[1]
    assert check_api_path(BOTH, ON, [SECOND, *rest]) == BOTH[0]


# --- rows 7 to 14: the command -----------------------------------------------------------------


def head_of(
    era: str,
    command: bytes = b"customreadonly",
    *,
    method: bytes = b"POST",
    permission: bytes = b"ro",
) -> CommandHead:
    return CommandHead(
        method=method,
        permission=permission,
        command=command,
        accept=MEDIA[era],
        content_type=MEDIA[era],
    )


class Door:
    """`check_command` with all but the head settled."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def __call__(
        self,
        api: Api,
        head: CommandHead,
        *,
        switches: ApiSwitches = ON,
        rules: AccessRules = OPEN,
        peer: Peer = HTTP,
    ) -> HttpResponse | Accepted | Reflected:
        return check_command(api, switches, rules, self.registry, head, peer)

    def accepted(self, api: Api, era: str, command: bytes, permission: Permission) -> Accepted:
        """What a head that passes every row is accepted as."""
        reading = {
            each.name.encode(): each
            for each in self.registry.exposed(DIALECTS[era])
            if permission is Permission.RW or each.permission is Permission.RO
        }
        return Accepted(
            dialect=DIALECTS[era],
            permission=permission,
            command=command,
            declaration=self.registry.find(command, DIALECTS[era]),
            framings=api.framings,
            commands=reading if command == b"multirequest" else {},
        )


@pytest.fixture
def check(registry: Registry) -> Door:
    return Door(registry)


@ERAS
@pytest.mark.parametrize("permission", [b"ro", b"rw"])
@pytest.mark.parametrize("command", [b"customreadonly", b"multirequest", b"heads"])
def test_a_head_that_passes_every_row_is_accepted(
    check: Door, era: str, permission: bytes, command: bytes
) -> None:
    assert check(api_of(era), head_of(era, command, permission=permission)) == check.accepted(
        api_of(era), era, command, Permission(permission.decode())
    )


@ERAS
@pytest.mark.parametrize("method", [b"POST", b"GET", b"HEAD", b"PUT"])
@pytest.mark.parametrize("permission", [b"zz", b"", b"RO", b"r", b"ro ", b"\xff", b"ro\n"])
def test_row_7_an_unknown_permission_comes_before_the_method(
    check: Door, era: str, method: bytes, permission: bytes
) -> None:
    head = head_of(era, b"unknown", method=method, permission=permission)
    assert check(api_of(era), head, rules=AccessRules(deny_read=("*",))) == missing(
        b"unknown permission: " + permission
    )


@ERAS
@pytest.mark.parametrize(
    "method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"post", b"Post"]
)
@pytest.mark.parametrize(
    "command", [b"customreadonly", b"customreadwrite", b"multirequest", b"debugreflect", b"zz"]
)
def test_row_8_any_method_but_post_comes_before_authorization_and_the_name(
    check: Door, era: str, method: bytes, command: bytes
) -> None:
    for permission in (b"ro", b"rw"):
        head = head_of(era, command, method=method, permission=permission)
        assert check(api_of(era), head, rules=AccessRules(deny_read=("*",))) == HttpResponse(
            status=405,
            reason=b"Method Not Allowed",
            headers=((b"Allow", b"POST"),),
            body=b"commands require POST requests",
        )


@ERAS
@pytest.mark.parametrize(
    ("permission", "rules", "status", "message"),
    [
        (b"ro", AccessRules(deny_read=("*",)), 401, b"read not authorized"),
        (b"rw", AccessRules(allow_read=("ann",)), 401, b"read not authorized"),
        (b"ro", AccessRules(allow_pull=False), 401, b"pull not authorized"),
        (b"rw", AccessRules(), 403, b"ssl required"),
        (b"rw", AccessRules(push_ssl=False), 401, b"push not authorized"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [b"customreadonly", b"customreadwrite", b"multirequest", b"debugreflect", b"zz", b"batch"],
)
def test_row_9_authorization_comes_before_the_name(
    check: Door,
    era: str,
    permission: bytes,
    rules: AccessRules,
    status: int,
    message: bytes,
    command: bytes,
) -> None:
    head = head_of(era, command, permission=permission)._replace(accept=None, content_type=None)
    assert check(api_of(era), head, rules=rules) == HttpResponse(
        status=status, reason=message, headers=(), body=b"permission denied"
    )


@ERAS
def test_a_peer_over_tls_passes_where_one_without_does_not(check: Door, era: str) -> None:
    head = head_of(era, b"customreadwrite", permission=b"rw")
    peer = Peer(address="peer:1", is_secure=True)
    assert check(
        api_of(era), head, rules=AccessRules(allow_push=("*",)), peer=peer
    ) == check.accepted(api_of(era), era, b"customreadwrite", Permission.RW)


@ERAS
@pytest.mark.parametrize("permission", [b"ro", b"rw"])
def test_row_10_debugreflect_that_is_off_comes_before_the_media_types(
    check: Door, era: str, permission: bytes
) -> None:
    head = head_of(era, b"debugreflect", permission=permission)
    answer = missing(b"debugreflect service not available")
    assert len(answer.body) == 34
    assert check(api_of(era), head) == answer
    assert check(api_of(era), head._replace(accept=b"*/*", content_type=None)) == answer


@ERAS
@pytest.mark.parametrize("accept", [None, b"*/*", b"text/plain"])
@pytest.mark.parametrize("content_type", [None, b"text/plain", b""])
def test_debugreflect_takes_any_media_type(
    check: Door, era: str, accept: bytes | None, content_type: bytes | None
) -> None:
    head = head_of(era, b"debugreflect")._replace(accept=accept, content_type=content_type)
    switches = ApiSwitches(debugreflect=True)
    assert check(api_of(era), head, switches=switches) == Reflected(dialect=DIALECTS[era])


@pytest.mark.parametrize("era", ["0002", "0003", "0005"])
def test_debugreflect_uses_the_framing_that_content_type_names(check: Door, era: str) -> None:
    api = api_of("0003", "0005", "0002")
    head = head_of(era, b"debugreflect")._replace(accept=MEDIA["0003"])
    switches = ApiSwitches(debugreflect=True)
    assert check(api, head, switches=switches) == Reflected(dialect=DIALECTS[era])
    first = head._replace(content_type=MEDIA["0006"])
    assert check(api, first, switches=switches) == Reflected(dialect=DIALECTS["0003"])


@ERAS
@pytest.mark.parametrize(
    "command", [b"zz", b"", b"CUSTOMREADONLY", b"Multirequest", b"DEBUGREFLECT", b"\xff", b"a/b"]
)
@pytest.mark.parametrize("accept", [None, b"*/*"])
def test_row_11_an_unknown_command_comes_before_the_media_types(
    check: Door, era: str, command: bytes, accept: bytes | None
) -> None:
    head = head_of(era, command)._replace(accept=accept, content_type=None)
    assert check(api_of(era), head) == missing(b"unknown wire protocol command: " + command + b"\n")


NOT_ON_V2: Final = (b"batch", b"between", b"branches", b"changegroup", b"changegroupsubset")


@pytest.mark.parametrize("command", NOT_ON_V2)
def test_row_12_a_command_of_version_1_alone_is_invalid_in_0002(
    check: Door, command: bytes
) -> None:
    head = head_of("0002", command)._replace(accept=None, content_type=None)
    assert check(api_of("0002"), head) == missing(b"invalid wire protocol command: " + command)


@pytest.mark.parametrize("command", NOT_ON_V2)
@pytest.mark.parametrize("era", ["0003", "0005", "0006"])
def test_a_command_of_version_1_alone_is_unknown_since_0003(
    check: Door, era: str, command: bytes
) -> None:
    assert check(api_of(era), head_of(era, command)) == missing(
        b"unknown wire protocol command: " + command + b"\n"
    )


@ERAS
@pytest.mark.parametrize("command", [b"customreadwrite", b"pushkey"])
def test_a_push_command_below_ro_is_forbidden_before_the_media_types(
    check: Door, era: str, command: bytes
) -> None:
    forbidden = HttpResponse(
        status=403,
        reason=b"Forbidden",
        headers=TEXT,
        body=b"insufficient permissions to execute command: " + command,
    )
    head = head_of(era, command)
    assert check(api_of(era), head) == forbidden
    assert check(api_of(era), head._replace(accept=None, content_type=None)) == forbidden


WRONG: Final = (
    None,
    b"",
    b"*/*",
    b"text/plain",
    b"APPLICATION/MERCURIAL-EXP-FRAMING-",
    b"application/mercurial-exp-framing-; q=1",
    b"application/mercurial-exp-framing-, text/plain",
)


def of_era(value: bytes | None, era: str) -> bytes | None:
    """Put an era's number behind the prefix of the media types."""
    if value is None:
        return None
    number = era.encode()
    return value.replace(b"framing-", b"framing-" + number).replace(
        b"FRAMING-", b"FRAMING-" + number
    )


@ERAS
@pytest.mark.parametrize("accept", WRONG)
@pytest.mark.parametrize("command", [b"customreadonly", b"multirequest"])
@pytest.mark.parametrize("content_type", [None, b"text/plain"])
def test_row_13_accept_must_equal_the_media_type_and_comes_before_content_type(
    check: Door, era: str, accept: bytes | None, command: bytes, content_type: bytes | None
) -> None:
    head = head_of(era, command)._replace(accept=of_era(accept, era), content_type=content_type)
    assert check(api_of(era), head) == HttpResponse(
        status=406,
        reason=b"Not Acceptable",
        headers=TEXT,
        body=b"client MUST specify Accept header with value: " + MEDIA[era] + b"\n",
    )


@pytest.mark.parametrize(
    ("era", "content_type"),
    [
        (era, content_type)
        for era in ("0002", "0003", "0005")
        for content_type in (*WRONG, b"application/mercurial-exp-framing-; charset=utf-8")
    ]
    + [
        ("0006", content_type)
        for content_type in (
            None,
            b"",
            b"text/plain",
            b"application/mercurial-exp-framing-0005",
            b"application/mercurial-exp-framing-, text/plain",
            b"x; application/mercurial-exp-framing-",
        )
    ],
)
@pytest.mark.parametrize("command", [b"customreadonly", b"multirequest"])
def test_row_14_content_type_must_be_the_media_type(
    check: Door, era: str, content_type: bytes | None, command: bytes
) -> None:
    head = head_of(era, command)._replace(content_type=of_era(content_type, era))
    assert check(api_of(era), head) == HttpResponse(
        status=415,
        reason=b"Unsupported Media Type",
        headers=TEXT,
        body=b"client MUST send Content-Type header with value: " + MEDIA[era] + b"\n",
    )


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/mercurial-exp-framing-0006; charset=utf-8",
        b"application/mercurial-exp-framing-0006;charset=utf-8",
        b"application/mercurial-exp-framing-0006 ;",
        b"Application/Mercurial-EXP-Framing-0006",
        b"APPLICATION/MERCURIAL-EXP-FRAMING-0006; X=Y",
    ],
)
def test_0006_ignores_the_case_and_the_parameters_of_content_type(
    check: Door, content_type: bytes
) -> None:
    # http 3.3: as servers on Python 3 read it
    head = head_of("0006")._replace(content_type=content_type)
    assert check(api_of("0006"), head) == check.accepted(
        api_of("0006"), "0006", b"customreadonly", Permission.RO
    )


# --- several framings in one API ---------------------------------------------------------------

SEVERAL: Final = api_of("0003", "0005", "0002")


@pytest.mark.parametrize("era", ["0002", "0003", "0005"])
def test_accept_chooses_the_framing(check: Door, era: str) -> None:
    assert check(SEVERAL, head_of(era)) == check.accepted(
        SEVERAL, era, b"customreadonly", Permission.RO
    )


@pytest.mark.parametrize("accept", [None, b"*/*", MEDIA["0006"]])
@pytest.mark.parametrize("content_type", ["0002", "0003", "0005"])
def test_406_names_the_first_framing(check: Door, accept: bytes | None, content_type: str) -> None:
    head = head_of(content_type)._replace(accept=accept)
    assert check(SEVERAL, head) == HttpResponse(
        status=406,
        reason=b"Not Acceptable",
        headers=TEXT,
        body=b"client MUST specify Accept header with value: "
        b"application/mercurial-exp-framing-0003\n",
    )


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("0003", "0005"), ("0003", "0002"), ("0005", "0003"), ("0002", "0003"), ("0002", "0006")],
)
def test_415_names_the_framing_that_accept_chose(
    check: Door, accept: str, content_type: str
) -> None:
    head = head_of(accept)._replace(content_type=MEDIA[content_type])
    assert check(SEVERAL, head) == HttpResponse(
        status=415,
        reason=b"Unsupported Media Type",
        headers=TEXT,
        body=b"client MUST send Content-Type header with value: " + MEDIA[accept] + b"\n",
    )


def test_a_command_is_looked_up_in_the_framing_that_accept_names(check: Door) -> None:
    invalid = missing(b"invalid wire protocol command: batch")
    unknown = missing(b"unknown wire protocol command: batch\n")
    assert check(SEVERAL, head_of("0002", b"batch")) == invalid
    assert check(SEVERAL, head_of("0003", b"batch")) == unknown
    assert check(SEVERAL, head_of("0002", b"batch")._replace(accept=None)) == unknown
    assert check(api_of("0002", "0003"), head_of("0003", b"batch")._replace(accept=None)) == invalid


def test_one_framing_may_be_served_by_several_apis(check: Door) -> None:
    other = api_of("0006", "0003", name=b"other")
    assert check(other, head_of("0003")) == check.accepted(
        other, "0003", b"customreadonly", Permission.RO
    )
    assert check_api_path([*BOTH, other], ON, [b"other", b"ro", b"heads"]) == other
