"""Who may run what, by every route: the matrix of users, commands, URLs and connections.

What is expected is written down here once, as the rights of each user. All commands that a daemon
registers are asked for by their own names and permissions; what they would do is not carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from support import peers
from support.environment import DUMMY_COMMANDS
from support.hgweb import Hosted
from support.logins import Users, basic, identification_of, logins_of, password_of
from support.raw import Raw
from support.web import API, MEDIA, FakeHost, Web, ask, path_of, posted, settings_of

from wiredaemon.commands import Permission, TextForm, capabilities
from wiredaemon.commands.registry import Registry, load_commands, marked_commands
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.hosting.host import Settings
from wiredaemon.repository import data_declarations, declarations
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.web import Connection

    from wiredaemon.commands import Command

RO, RW = Permission.RO, Permission.RW

ALL: Final = [
    *marked_commands(capabilities),
    *marked_commands(declarations),
    *marked_commands(data_declarations),
    *load_commands([str(DUMMY_COMMANDS)]),
]

LISTS: Final = AccessRules(
    allow_read=("reader", "writer", "denied", "nopush", "@devs"),
    deny_read=("denied", "@locked"),
    allow_push=("writer", "denied", "nopush", "stranger", "@devs"),
    deny_push=("nopush",),
)
DEFAULT: Final = AccessRules()
NO_TLS: Final = replace(LISTS, push_ssl=False)
NOTHING: Final[frozenset[Permission]] = frozenset()
READS: Final = frozenset({RO})
WRITES: Final = frozenset({RO, RW})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of user: what it logs in with, and what the lists allow it over TLS."""

    header: str | None
    name: str = ""
    password: bytes = b""
    token: bytes = b""
    rights: frozenset[Permission]

    def by_default(self) -> frozenset[Permission]:
        """Return its rights where nobody has set any list."""
        return NOTHING if self.header is not None and self.is_wrong else READS

    @property
    def is_wrong(self) -> bool:
        """The credentials are nobody's."""
        return self.name == "wrong"


def person(name: str, rights: frozenset[Permission]) -> Kind:
    return Kind(header=basic(name), name=name, password=password_of(name), rights=rights)


LIMITED: Final = b"wd_0000000c_limited"
KINDS: Final[Mapping[str, Kind]] = {
    "anonymous": Kind(header=None, rights=NOTHING),
    "stranger": person("stranger", NOTHING),
    "reader": person("reader", READS),
    "writer": person("writer", WRITES),
    "denied": person("denied", NOTHING),
    "nopush": person("nopush", READS),
    "member": person("mia", WRITES),
    "locked member": person("out", NOTHING),
    "read-only token": Kind(header=f"Bearer {LIMITED.decode()}", token=LIMITED, rights=READS),
    "wrong password": Kind(
        header=basic("wrong", b"no"), name="wrong", password=b"no", rights=NOTHING
    ),
}
EVERYBODY: Final = pytest.mark.parametrize("kind", KINDS)
RULES: Final = pytest.mark.parametrize("rules", ["lists", "default", "no tls"])


def rules_of(name: str) -> AccessRules:
    return {"lists": LISTS, "default": DEFAULT, "no tls": NO_TLS}[name]


def rights(kind: Kind, rules: str, *, secure: bool) -> frozenset[Permission]:
    """Return what one kind of user may do."""
    if rules == "default":
        return kind.by_default()
    return kind.rights if secure or rules == "no tls" else kind.rights - {RW}


class Recorder:
    """The commands of a daemon, each of which notes that it ran instead of what it does."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.commands = [self._noting(command) for command in ALL]

    def _noting(self, command: Command) -> Command:
        def note(_: Any) -> bytes:
            self.ran.append(_shown(command))
            return b"ran"

        text = command.text and TextForm(result=bytes)
        return replace(
            command, function=note, arguments={}, text=text, has_data=False, cacheable=False
        )

    def take(self) -> list[str]:
        ran, self.ran = self.ran, []
        return ran


def known(era: str) -> Sequence[Command]:
    """Return all commands, whether an era has them or not."""
    names = {command.name for command in Registry(ALL).exposed(DIALECTS[era])}
    return [replace(command, exposed=command.name in names) for command in ALL]


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def may_run(command: Command, url: Permission, granted: frozenset[Permission]) -> bool:
    return command.exposed and url in granted and url.covers(command.permission)


def web_of(recorder: Recorder, rules: str) -> Web:
    host = FakeHost(recorder.commands, settings=settings_of(access=rules_of(rules)))
    return Web(host=host, identification=identification_of(Users()))


def site(recorder: Recorder, rules: str, *, secure: bool) -> Connection:
    # Over the plain connection on this machine passwords are accepted: what is tested then is TLS.
    return web_of(recorder, rules).connect(secure=secure, address="127.0.0.1")


def headers(kind: Kind, **more: str) -> dict[str, str]:
    return more if kind.header is None else {"Authorization": kind.header, **more}


@EVERYBODY
@RULES
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("era", API)
def test_a_command_by_its_url(era: str, rules: str, kind: str, *, secure: bool) -> None:
    recorder, user = Recorder(), KINDS[kind]
    granted = rights(user, rules, secure=secure)
    connection = site(recorder, rules, secure=secure)
    media = {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
    for command, url in product(known(era), Permission):
        body = b"".join(peers.request_frames(era, 1, command.name.encode()))
        request = posted(
            era, command.name, body, permission=url.value, headers=headers(user, **media)
        )
        for _ in range(2):  # the second one has a known head
            answer = connection.exchange(request)
            expected = may_run(command, url, granted)
            assert recorder.take() == ([_shown(command)] if expected else []), command.name
            if url not in granted:
                assert status(answer) in {401, 403}


def _shown(command: Command) -> str:
    return f"{command.permission.value} {command.name}"


@EVERYBODY
@RULES
@pytest.mark.parametrize("era", API)
def test_a_command_in_a_multirequest(era: str, rules: str, kind: str) -> None:
    recorder, user = Recorder(), KINDS[kind]
    granted = rights(user, rules, secure=True)
    connection = site(recorder, rules, secure=True)
    media = {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
    for command, url in product(known(era), Permission):
        # Behind one that may run: a refusal in the middle ends the exchange.
        frames = [
            *peers.request_frames(era, 1, b"customreadonly"),
            *peers.request_frames(era, 3, command.name.encode()),
        ]
        request = posted(
            era,
            "multirequest",
            b"".join(frames),
            permission=url.value,
            headers=headers(user, **media),
        )
        answer = connection.exchange(request)
        ran = recorder.take()
        assert (_shown(command) in ran) is (
            may_run(command, url, granted) or (command.name == "customreadonly" and url in granted)
        )
        if url not in granted:
            assert ran == []
            assert status(answer) in {401, 403}


METHODS: Final = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "post")
TRICKS: Final = ("", "/", "//", "/%72w", "?cmd=heads")
"""What follows the path of a command."""


@EVERYBODY
@RULES
def test_tricks_with_methods_and_paths_run_nothing(rules: str, kind: str) -> None:
    recorder, user = Recorder(), KINDS[kind]
    web = web_of(recorder, rules)
    era = "0006"
    media = {"Accept": MEDIA[era], "Content-Type": MEDIA[era]}
    body = b"".join(peers.request_frames(era, 1, b"customreadwrite"))
    lines = headers(user, **media, **{"Content-Length": str(len(body))})
    lines["X-HTTP-Method-Override"] = "POST"
    path = path_of(era, "customreadwrite", "rw")
    for method, trick in product(METHODS, TRICKS):
        connection = web.connect(secure=True, address="127.0.0.1")
        connection.send(ask(method, path + trick, lines) + body)
        assert (method, trick, recorder.take()) == (method, trick, [])
    # The same connection, user and body do run it where the method and the path are right.
    right = web.connect(secure=True, address="127.0.0.1")
    right.send(ask("POST", path, lines) + body)
    assert bool(recorder.take()) is (RW in rights(user, rules, secure=True))


@pytest.mark.parametrize(
    "target",
    ["/api/exp-http-v2-0003/%72w/customreadwrite", "/api/exp-http-v2-0003/rw/custom%72eadwrite"],
)
@EVERYBODY
def test_a_url_that_is_encoded_needs_the_same_right(kind: str, target: str) -> None:
    recorder, user = Recorder(), KINDS[kind]
    connection = site(recorder, "lists", secure=True)
    media = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
    body = b"".join(peers.request_frames("0006", 1, b"customreadwrite"))
    lines = headers(user, **media, **{"Content-Length": str(len(body))})
    connection.send(ask("POST", target, lines) + body)
    expected = ["rw customreadwrite"] if RW in user.rights else []
    assert recorder.take() == expected


@EVERYBODY
@RULES
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("era", ["0002", "0003", "0004", "0005", "0006"])
def test_a_command_on_a_raw_connection(era: str, rules: str, kind: str, *, secure: bool) -> None:
    recorder, user = Recorder(), KINDS[kind]
    granted = rights(user, rules, secure=secure)
    if user.is_wrong:
        # Its login fails, and it goes on as anybody.
        granted = rights(KINDS["anonymous"], rules, secure=secure)
    host = FakeHost(recorder.commands, settings=settings_of(access=rules_of(rules)))
    # Where TLS is missing passwords are accepted all the same: what is tested then is writing.
    logins = logins_of(Users(), plain_passwords=not secure)
    raw = Raw(era, host=host, is_tls=secure, logins=logins)
    if user.header is not None:
        given: dict[bytes, object] = {b"name": user.name.encode(), b"password": user.password}
        if user.token:
            given = {b"token": user.token}
        raw.receive(*peers.request_frames(era, 1, b"login", given))
    request_id = 3
    for command in known(era):
        for _ in range(2):  # the second decision is a remembered one
            raw.ask(request_id, command.name)
            request_id += 2
            expected = may_run(command, command.permission, granted)
            assert recorder.take() == ([_shown(command)] if expected else []), command.name


# --- version 1 and pages -------------------------------------------------------------------------

VERSION1: Final = {
    **dict.fromkeys(
        [
            *(b"batch", b"between", b"branches", b"branchmap", b"changegroup"),
            *(b"changegroupsubset", b"clonebundles", b"getbundle", b"heads", b"hello"),
            *(b"known", b"listkeys", b"lookup", b"protocaps", b"stream_out"),
            # Of extensions: largefiles, narrow, evolve, topic.
            *(b"getlfile", b"statlfile", b"narrow_widen"),
            *(b"evoext_obshashrange_v1", b"tns_heads", b"branchmaptns"),
        ],
        b"pull",
    ),
    **dict.fromkeys([b"unbundle", b"pushkey", b"putlfile"], b"push"),
}
LFS: Final = ["/.hg/lfs/objects/aa", "/.git/info/lfs/objects/batch"]
PAGES: Final = ["/", "/log", "/file/tip", "/archive/tip.zip", "/raw-file/tip/a", "/zz", *LFS]


@EVERYBODY
@RULES
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("pulls", [True, False], ids=["pull", "no pull"])
def test_version_1_and_pages(rules: str, kind: str, *, secure: bool, pulls: bool) -> None:
    user = KINDS[kind]
    granted = rights(user, rules, secure=secure)
    access = replace(rules_of(rules), allow_pull=pulls)
    hosted = Hosted(access, identification=identification_of(Users()))
    hosted.host.now = Settings(switches=settings_of().switches, access=access, version1=VERSION1)
    targets = [f"/?cmd={name.decode()}" for name in VERSION1] + PAGES
    for target, method in product(targets, ["GET", "HEAD", "POST", "PUT"]):
        hosted.workers.granted.clear()
        hosted.host.peers.clear()
        hosted.connection = hosted.web.connect(secure=secure, address="127.0.0.1")
        hosted.connection.send(ask(method, target, headers(user)))
        name = target.partition("cmd=")[2].encode()
        expected: list[Permission] = []
        if VERSION1.get(name) == b"push":
            expected = [RW] if method == "POST" and granted == WRITES else []
        elif method == "PUT":
            # Only extensions have pages that take one, and those write.
            expected = [RW] if granted == WRITES and target in {"/zz", *LFS} else []
        elif RO in granted and (pulls or (not name and target not in LFS)):
            may_write = name in {b"", b"batch"} and method == "POST" and RW in granted
            expected = [RW] if may_write else [RO]
        assert hosted.workers.granted == expected, (target, method)
        if expected:
            user_name = None if user.header is None else user.name or "writer"
            assert [peer.user for peer in hosted.host.peers] == [user_name]


@EVERYBODY
@RULES
def test_capabilities_and_debugreflect(rules: str, kind: str) -> None:
    user = KINDS[kind]
    granted = rights(user, rules, secure=True)
    switches = replace(settings_of().switches, debugreflect=True)
    host = FakeHost(settings=settings_of(access=rules_of(rules), switches=switches))
    connection = Web(host=host, identification=identification_of(Users())).connect(secure=True)
    answer = connection.exchange(ask("GET", "/?cmd=capabilities", headers(user)))
    assert status(answer) == 200 if RO in granted else status(answer) in {401, 403}
    for permission in Permission:
        request = posted("0006", "debugreflect", permission=permission.value, headers=headers(user))
        answer = connection.exchange(request)
        if permission in granted:
            assert status(answer) == 200
        else:
            assert status(answer) in {401, 403}


def test_every_command_has_a_permission_and_both_are_tested() -> None:
    assert {command.permission for command in ALL} == {RO, RW}
    assert len({command.name for command in ALL}) > 15
