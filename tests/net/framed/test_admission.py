"""Which commands a raw connection may run, asked over the whole connection in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.raw import Raw, refusal, result, server_error
from support.responding import make_command
from support.web import FakeHost, settings_of
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from wiredaemon.commands import Permission, ServerError, TextForm
from wiredaemon.net.hosting.access import UNAVAILABLE, AccessRules
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host_lookup import HostLookup

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.commands import Command
    from wiredaemon.net.hosting.host import Settings

every_dialect = pytest.mark.parametrize("dialect", ["0002", "0003", "0004", "0005", "0006"])
MAPS: Final = pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
TEXT: Final = TextForm(result=lambda value: value)

CLOSED: Final = settings_of(access=AccessRules(allow_read=("nobody",)))
WRITERS: Final = settings_of(access=AccessRules(allow_push=("*",)))
NO_WRITERS: Final = settings_of(access=AccessRules())


def where(name: str) -> Command:
    """A command that says which host it is of."""

    def where(_: Any) -> bytes:
        return name.encode()

    return make_command(where, text=TEXT)


def read(_: Any) -> bytes:
    return b"read"


def write(context: Any) -> bytes:
    return b"written by %s" % context.permission.value.encode()


async def size(context: Any) -> bytes:
    return b"%d bytes" % len(await context.data.read())


READ: Final = make_command(read, text=TEXT)
WRITE: Final = replace(make_command(write, text=TEXT), permission=Permission.RW)
SIZE: Final = make_command(size, text=TEXT, has_data=True)
SIZE_WRITTEN: Final = replace(SIZE, permission=Permission.RW)


# --- names ----------------------------------------------------------------------------------------


@every_dialect
def test_an_unknown_command_is_refused_and_the_connection_goes_on(dialect: str) -> None:
    raw = Raw(dialect, READ)
    raw.receive(raw.request(1, "unheard"), raw.request(3, "read"))
    refused = refusal(dialect, b"wire protocol command not available: %s", b"unheard")
    assert raw.answers[1] == refused
    assert raw.contents(3) == [result(dialect, b"read")]
    assert raw.transport.is_open()


@every_dialect
def test_a_command_of_another_dialect_or_not_exposed_is_as_good_as_unknown(dialect: str) -> None:
    others = frozenset({"0002", "0003", "0004", "0005", "0006"} - {dialect})
    hidden = replace(where("hidden"), name="hidden", exposed=False)
    raw = Raw(dialect, replace(READ, dialects=others), hidden)
    raw.receive(raw.request(1, "read"), raw.request(3, "hidden"))
    assert raw.answers == {
        1: refusal(dialect, b"wire protocol command not available: %s", b"read"),
        3: refusal(dialect, b"wire protocol command not available: %s", b"hidden"),
    }


@MAPS
@pytest.mark.parametrize("name", [7, None, True, [b"read"], {b"read": b"read"}, {b"read"}])
def test_a_name_that_is_no_byte_string_is_shown_as_a_question_mark(
    dialect: str, name: object
) -> None:
    raw = Raw(dialect, READ)
    raw.receive(raw.request(1, name), raw.request(3, "read"), raw.request(5, name, b"data"))
    refused = refusal(dialect, b"wire protocol command not available: %s", b"?")
    assert raw.answers[1] == raw.answers[5] == refused
    assert raw.contents(3) == [result(dialect, b"read")]
    assert raw.transport.is_open()


# --- paths ----------------------------------------------------------------------------------------


def two_hosts() -> dict[str, FakeHost]:
    return {"/": FakeHost([where("root")]), "/team/tool": FakeHost([where("tool")])}


@MAPS
def test_the_path_says_which_host_is_asked_with_and_without_slashes_around_it(
    dialect: str,
) -> None:
    raw = Raw(dialect, hosts=two_hosts())
    paths = {
        b"root": (b"", b"/", b"//"),
        b"tool": (b"team/tool", b"/team/tool", b"team/tool/", b"/team/tool/", b"//team/tool//"),
    }
    raw.ask(1, "where")
    assert raw.contents(1) == [result(dialect, b"root")]
    request_id = 1
    for name, several in paths.items():
        for path in several:
            request_id += 2
            raw.ask(request_id, "where", path=path)
            assert raw.contents(request_id) == [result(dialect, name)]


@pytest.mark.parametrize("dialect", ["0003", "0004", "0005"])
def test_where_text_counts_as_its_bytes_the_path_may_be_text(dialect: str) -> None:
    raw = Raw(dialect, hosts=two_hosts())
    content = b"\xa2dname" + b"ewhere" + b"dpath" + b"iteam/tool"
    raw.receive(*peers.map_frames(dialect, 1, content))
    assert raw.contents(1) == [result(dialect, b"tool")]


@MAPS
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"team", b"/team"),
        (b"/team/other/", b"/team/other"),
        (b"team//tool", b"/team//tool"),
        (b"/team/tool/where", b"/team/tool/where"),
        (b"/Team/Tool", b"/Team/Tool"),
        (b"caf\xe9", "/caf\ufffd".encode()),
        (b"%s", b"/%s"),
    ],
)
def test_a_path_where_nothing_is_served_is_named_in_the_refusal(
    dialect: str, path: bytes, shown: bytes
) -> None:
    raw = Raw(dialect, hosts=two_hosts())
    raw.receive(raw.request(1, "where", path=path), raw.request(3, "where"))
    assert raw.answers[1] == refusal(dialect, b"no repository is served at path %s", shown)
    assert raw.contents(3) == [result(dialect, b"root")]


@MAPS
def test_the_whole_path_must_name_a_repository_of_a_collection(
    dialect: str, tmp_path: Path
) -> None:
    (tmp_path / "tool" / ".hg").mkdir(parents=True)
    collections = [Collection(prefix="/team", folder=tmp_path, enters_repositories=True)]
    made = FakeHost([where("tool")])
    raw = Raw(dialect, hosts=HostLookup({}, collections, make_host=lambda _: made))
    raw.ask(1, "where", path=b"/team/tool")
    assert raw.contents(1) == [result(dialect, b"tool")]
    refused = (b"/team", b"/team/tool/x", b"/team/tool/.hg", b"/team/../team/tool", b"/team/x")
    for number, path in enumerate(refused, 1):
        raw.ask(2 * number + 1, "where", path=path)
        assert raw.answers[2 * number + 1] == refusal(
            dialect, b"no repository is served at path %s", path
        )
    (tmp_path / "tool" / ".hg").rmdir()
    raw.ask(101, "where", path=b"/team/tool")
    assert raw.answers[101] == refusal(
        dialect, b"no repository is served at path %s", b"/team/tool"
    )


def test_a_repository_at_the_root_of_all_collections_is_looked_for_each_time(
    tmp_path: Path,
) -> None:
    (tmp_path / ".hg").mkdir(parents=True)
    made = FakeHost([where("root")])
    hosts = HostLookup({}, [Collection(prefix="/", folder=tmp_path)], make_host=lambda _: made)
    raw = Raw("0006", hosts=hosts)
    for request_id in (1, 3):
        raw.ask(request_id, "where")
        assert raw.contents(request_id) == [result("0006", b"root")]
    (tmp_path / ".hg").rmdir()
    raw.ask(5, "where")
    assert raw.answers[5] == refusal("0006", b"no repository is served at path %s", b"/")


@every_dialect
def test_where_nothing_is_served_at_the_root_a_request_without_a_path_is_refused(
    dialect: str,
) -> None:
    raw = Raw(dialect, hosts={"/team/tool": FakeHost([where("tool")])})
    raw.ask(1, "where")
    assert raw.answers == {1: refusal(dialect, b"no repository is served at path %s", b"/")}
    if dialect != "0002":
        raw.ask(3, "where", path=b"team/tool")
        assert raw.contents(3) == [result(dialect, b"tool")]


@MAPS
def test_each_host_has_commands_and_settings_of_its_own(dialect: str) -> None:
    hosts = {
        "/": FakeHost([READ], settings=CLOSED),
        "/open": FakeHost([READ]),
        "/empty": FakeHost([]),
    }
    raw = Raw(dialect, hosts=hosts)
    for start in (1, 7):
        raw.ask(start, "read")
        raw.ask(start + 2, "read", path=b"open")
        raw.ask(start + 4, "read", path=b"empty")
        assert raw.answers[start] == refusal(dialect, b"read not authorized")
        assert raw.contents(start + 2) == [result(dialect, b"read")]
        assert raw.answers[start + 4] == refusal(
            dialect, b"wire protocol command not available: %s", b"read"
        )


# --- permission -----------------------------------------------------------------------------------


@every_dialect
def test_writing_needs_tls_whoever_asks(dialect: str) -> None:
    raw = Raw(dialect, host=FakeHost([READ, WRITE], settings=WRITERS))
    raw.receive(raw.request(1, "write"), raw.request(3, "read"), raw.request(5, "write"))
    assert raw.answers[1] == raw.answers[5] == refusal(dialect, b"ssl required")
    assert raw.contents(3) == [result(dialect, b"read")]
    assert raw.transport.is_open()


@every_dialect
@pytest.mark.parametrize("is_unix", [False, True], ids=["tls", "unix"])
def test_writing_needs_the_right_to(dialect: str, *, is_unix: bool) -> None:
    host = FakeHost([READ, WRITE], settings=NO_WRITERS)
    raw = Raw(dialect, host=host, is_tls=not is_unix, is_unix=is_unix)
    raw.receive(raw.request(1, "write"), raw.request(3, "read"))
    assert raw.answers[1] == refusal(dialect, b"push not authorized")
    assert raw.contents(3) == [result(dialect, b"read")]
    assert raw.transport.is_open()


@every_dialect
@pytest.mark.parametrize("is_unix", [False, True], ids=["tls", "unix"])
def test_who_may_write_over_tls_or_a_unix_socket_does_and_each_command_has_its_own_permission(
    dialect: str, *, is_unix: bool
) -> None:
    host = FakeHost([READ, WRITE], settings=WRITERS)
    raw = Raw(dialect, host=host, is_tls=not is_unix, is_unix=is_unix)
    raw.receive(raw.request(1, "write"), raw.request(3, "read"), raw.request(5, "write"))
    assert raw.contents(1, 3, 5) == [
        result(dialect, b"written by rw"),
        result(dialect, b"read"),
        result(dialect, b"written by rw"),
    ]


@every_dialect
def test_without_push_ssl_writing_needs_the_right_alone(dialect: str) -> None:
    rules = AccessRules(push_ssl=False, allow_push=("*",))
    raw = Raw(dialect, host=FakeHost([WRITE], settings=settings_of(access=rules)))
    raw.ask(1, "write")
    assert raw.contents(1) == [result(dialect, b"written by rw")]


@every_dialect
@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (AccessRules(allow_read=("somebody",)), b"read not authorized"),
        (AccessRules(deny_read=("*",)), b"read not authorized"),
        (AccessRules(allow_pull=False), b"pull not authorized"),
    ],
)
def test_reading_can_be_forbidden_as_well(dialect: str, rules: AccessRules, message: bytes) -> None:
    raw = Raw(dialect, host=FakeHost([READ], settings=settings_of(access=rules)))
    raw.ask(1, "read")
    assert raw.answers == {1: refusal(dialect, message)}


@every_dialect
@pytest.mark.parametrize("data", [b"", b"dropped", bytes(40_000)], ids=len)
def test_a_refused_request_is_answered_once_and_its_data_is_dropped(
    dialect: str, data: bytes
) -> None:
    raw = Raw(dialect, host=FakeHost([READ, SIZE_WRITTEN], settings=WRITERS))
    raw.receive(
        raw.request(1, "size", data),
        raw.request(3, "read"),
        raw.request(5, "unheard", data),
        raw.request(7, "read", data),
    )
    assert raw.answers[1] == refusal(dialect, b"ssl required")
    assert raw.answers[5] == refusal(
        dialect, b"wire protocol command not available: %s", b"unheard"
    )
    assert raw.contents(3, 7) == [result(dialect, b"read")] * 2
    assert raw.transport.is_open()


# --- settings that must be asked for --------------------------------------------------------------


@every_dialect
def test_while_settings_are_asked_for_requests_wait_in_order_and_nothing_is_read(
    dialect: str,
) -> None:
    host = FakeHost([READ, WRITE])
    raw = Raw(dialect, host=host)
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    raw.receive(
        raw.request(1, "read"),
        raw.request(3, "write"),
        raw.request(5, "unheard"),
        raw.request(7, "read"),
    )
    assert raw.wire == b""
    assert raw.transport.is_paused()
    host.now = WRITERS
    asked.callback(WRITERS)
    assert not raw.transport.is_paused()
    assert raw.order == [1, 3, 5, 7]
    assert raw.contents(1, 7) == [result(dialect, b"read")] * 2
    assert raw.answers[3] == refusal(dialect, b"ssl required")
    assert raw.answers[5] == refusal(
        dialect, b"wire protocol command not available: %s", b"unheard"
    )


@every_dialect
def test_each_request_in_a_read_may_have_to_ask(dialect: str) -> None:
    asked: list[Deferred[Settings]] = []

    class Asking(FakeHost):
        def settings(self) -> Deferred[Settings]:
            asked.append(Deferred())
            return asked[-1]

    raw = Raw(dialect, host=Asking([READ]))
    raw.receive(raw.request(1, "read"), raw.request(3, "read"), raw.request(5, "read"))
    for number, settings in enumerate((settings_of(), CLOSED, settings_of()), start=1):
        assert len(asked) == number
        assert raw.transport.is_paused()
        asked[-1].callback(settings)
        assert len(raw.order) == number
    assert not raw.transport.is_paused()
    assert len(asked) == 3
    assert raw.contents(1, 5) == [result(dialect, b"read")] * 2
    assert raw.answers[3] == refusal(dialect, b"read not authorized")


@every_dialect
def test_settings_that_have_come_at_once_pause_nothing(dialect: str) -> None:
    host = FakeHost([READ])
    host.now = succeed(settings_of())
    raw = Raw(dialect, host=host)
    raw.receive(raw.request(1, "read"))
    assert raw.contents(1) == [result(dialect, b"read")]
    assert not raw.transport.is_paused()


@MAPS
def test_hosts_that_need_not_be_asked_wait_behind_one_that_must(dialect: str) -> None:
    slow = FakeHost([where("slow")])
    raw = Raw(dialect, hosts={"/": FakeHost([where("root")]), "/slow": slow})
    asked: Deferred[Settings] = Deferred()
    slow.now = asked
    raw.receive(
        raw.request(1, "where"), raw.request(3, "where", path=b"slow"), raw.request(5, "where")
    )
    assert raw.order == [1]
    asked.callback(settings_of())
    assert raw.order == [1, 3, 5]
    assert raw.contents(3, 5) == [result(dialect, b"slow"), result(dialect, b"root")]


@every_dialect
def test_settings_that_cannot_be_had_are_an_error_of_that_request_alone(dialect: str) -> None:
    host = FakeHost([READ])
    raw = Raw(dialect, host=host)
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    raw.receive(raw.request(1, "read"), raw.request(3, "read"))
    host.now = settings_of()
    asked.errback(Failure(ServerError("a secret of the server")))
    assert raw.answers[1] == server_error(dialect, UNAVAILABLE)
    assert raw.contents(3) == [result(dialect, b"read")]
    assert not raw.transport.is_paused()
    assert raw.transport.is_open()


@every_dialect
def test_a_connection_lost_while_settings_are_asked_for_runs_nothing(dialect: str) -> None:
    ran: list[str] = []

    def noted(_: Any) -> bytes:
        ran.append("noted")
        return b""

    host = FakeHost([make_command(noted, text=TEXT)])
    for outcome in ("known", "unknown", "never"):
        asked: Deferred[Settings] = Deferred()
        host.now = asked
        raw = Raw(dialect, host=host)
        raw.receive(raw.request(1, "noted"), raw.request(3, "noted"))
        raw.lose()
        if outcome == "known":
            asked.callback(settings_of())
        elif outcome == "unknown":
            asked.errback(Failure(ServerError("gone")))
        assert ran == []
        assert raw.wire == b""


@every_dialect
def test_input_that_ends_while_settings_are_asked_for_is_answered_and_closed(
    dialect: str,
) -> None:
    host = FakeHost([READ])
    raw = Raw(dialect, host=host)
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    raw.receive(raw.request(1, "read"), raw.request(3, "read"))
    raw.end()
    assert raw.wire == b""
    assert raw.transport.is_open()
    host.now = settings_of()
    asked.callback(settings_of())
    assert raw.order == [1, 3]
    assert raw.contents(1, 3) == [result(dialect, b"read")] * 2
    assert raw.transport.is_closed()
    assert not raw.transport.is_aborted()


@every_dialect
def test_broken_input_behind_a_request_that_waits_for_settings_comes_behind_its_answer(
    dialect: str,
) -> None:
    host = FakeHost([READ])
    raw = Raw(dialect, host=host)
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    raw.receive(raw.request(1, "read"), raw.request(3, "read"), peers.frame(15, 0, request_id=5))
    assert raw.wire == b""
    assert raw.transport.is_open()
    host.now = settings_of()
    asked.callback(settings_of())
    assert raw.order == [1, 3, 5]
    assert raw.contents(1, 3) == [result(dialect, b"read")] * 2
    assert raw.transport.is_half_closed()


@every_dialect
def test_data_for_a_command_that_waits_for_settings_reaches_it(dialect: str) -> None:
    host = FakeHost([SIZE])
    raw = Raw(dialect, host=host)
    asked: Deferred[Settings] = Deferred()
    host.now = asked
    raw.receive(raw.request(1, "size", bytes(70_000)))
    host.now = settings_of()
    asked.callback(settings_of())
    assert raw.contents(1) == [result(dialect, b"70000 bytes")]


# --- settings that change -------------------------------------------------------------------------


@every_dialect
def test_settings_that_change_are_seen_by_the_next_request(dialect: str) -> None:
    host = FakeHost([READ, WRITE], settings=WRITERS)
    raw = Raw(dialect, host=host, is_tls=True)
    steps: list[tuple[Settings, bool, bool]] = [
        (WRITERS, True, True),
        (NO_WRITERS, True, False),
        (CLOSED, False, False),
        (WRITERS, True, True),
    ]
    request_id = 1
    for settings, may_read, may_write in steps:
        host.now = settings
        for _ in range(2):  # the second time it has been asked under the same settings before
            raw.receive(raw.request(request_id, "read"), raw.request(request_id + 2, "write"))
            is_answered = [
                answer.content == result(dialect, content) and answer.error is None
                for answer, content in (
                    (raw.answers[request_id], b"read"),
                    (raw.answers[request_id + 2], b"written by rw"),
                )
            ]
            assert is_answered == [may_read, may_write]
            request_id += 4


@every_dialect
def test_settings_that_a_command_changes_are_seen_behind_it_in_the_same_read(
    dialect: str,
) -> None:
    def shut(_: Any) -> bytes:
        host.now = CLOSED
        return b"shut"

    host = FakeHost([READ, make_command(shut, text=TEXT)])
    raw = Raw(dialect, host=host)
    raw.receive(raw.request(1, "read"), raw.request(3, "shut"), raw.request(5, "read"))
    assert raw.contents(1, 3) == [result(dialect, b"read"), result(dialect, b"shut")]
    assert raw.answers[5] == refusal(dialect, b"read not authorized")
