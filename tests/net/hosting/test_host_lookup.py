from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from support.descriptions import described
from support.web import FakeHost, settings_of
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wiredaemon.commands.registry import Registry
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host import HostedRepository
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twisted.logger import LogEvent

    from wiredaemon.net.hosting.host_lookup import Listing


def make(folder: Path, *repositories: str) -> None:
    for name in repositories:
        (folder / name / ".hg").mkdir(parents=True)


class Made:
    """Hosts whose repositories in collections are doubles."""

    def __init__(
        self,
        singles: dict[str, FakeHost] | None = None,
        collections: dict[str, Path] | None = None,
        **options: Any,
    ) -> None:
        self.paths: list[str] = []
        self.hosts = HostLookup(
            singles or {},
            [
                Collection(
                    prefix=key.rstrip("*").rstrip("/") or "/",
                    folder=folder,
                    enters_repositories=key.endswith("**"),
                )
                for key, folder in (collections or {}).items()
            ],
            make_host=self.make_host,
            **options,
        )

    def make_host(self, path: bytes) -> FakeHost:
        self.paths.append(os.fsdecode(path))
        return FakeHost()

    def find(self, path: str) -> tuple[object, int] | None:
        found = self.hosts.find(names(path))
        return None if found is None else (found.host, found.consumed)

    def listed(self, path: str) -> tuple[list[str], bool]:
        got: list[Listing] = []
        self.hosts.list_below(names(path)).addCallback(got.append)
        (listing,) = got
        return [show(entry.names) for entry in listing.entries], listing.is_cut


def names(path: str) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in path.split("/")) if path else ()


def show(parts: tuple[bytes, ...]) -> str:
    return b"/".join(parts).decode()


# --- lookups ----------------------------------------------------------------------------------


def test_the_longest_single_entry_is_found() -> None:
    root, team, tool = FakeHost(), FakeHost(), FakeHost()
    made = Made({"/": root, "/team": team, "/team/café/tool": tool})
    assert made.find("") == (root, 0)
    assert made.find("x/team") == (root, 0)
    assert made.find("team") == (team, 1)
    assert made.find("team/café") == (team, 1)
    assert made.find("team/café/tool") == (tool, 3)
    assert made.find("team/café/tool/api/x") == (tool, 3)
    assert made.find("team//tool") == (team, 1)
    assert Made({"/team": team}).find("x") is None


def test_only_what_no_collection_can_change_is_fixed(tmp_path: Path) -> None:
    make(tmp_path, "one")
    hosts = Made({"/": FakeHost(), "/tools": FakeHost()}, {"/tools/x/*": tmp_path}).hosts
    asked = {"": True, "tools": True, "tools/x/one": False}
    found = {path: hosts.find(names(path)) for path in asked}
    assert {path: each and each.is_fixed for path, each in found.items()} == asked


def test_a_single_entry_wins_over_a_collection_and_a_longer_name_over_both(tmp_path: Path) -> None:
    make(tmp_path, "all/one", "all/one/inner", "all/two", "all/sub/three", "sub/three", "sub/four")
    one = FakeHost()
    made = Made({"/one": one}, {"/**": tmp_path / "all", "/sub/*": tmp_path / "sub"})
    assert made.find("one/file") == (one, 1)
    assert made.paths == []
    for path, consumed in {"one/inner/x": 2, "two": 1, "sub/three": 2, "sub/four/x": 2}.items():
        found = made.find(path)
        assert found is not None
        assert found[1] == consumed
    assert [os.path.relpath(path, tmp_path) for path in made.paths] == [
        "all/one/inner",
        "all/two",
        "sub/three",
        "sub/four",
    ]


def test_below_a_collection_no_shorter_repository_is_found(tmp_path: Path) -> None:
    root = FakeHost()
    made = Made({"/": root}, {"/team/*": tmp_path})
    assert made.find("other") == (root, 0)
    assert made.find("team") is None
    assert made.find("team/gone/file") is None
    assert made.find("teams") == (root, 0)


def test_a_repository_keeps_its_host_until_too_many_others_were_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    made = Made(collections={"/*": tmp_path}, limits=Limits(known_repositories=2))
    a = made.find("a")
    assert made.find("b") != a
    assert made.find("a") == a
    made.find("c")  # b makes room, for a was asked for since
    assert made.find("a") == a
    assert [os.path.basename(path) for path in made.paths] == ["a", "b", "c"]  # noqa: PTH119 text
    made.find("b")
    assert len(made.paths) == 4


def test_a_host_that_made_room_answers_those_who_wait_for_it(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    asked: list[Deferred[object]] = []

    class Pool:
        reactor = Clock()

        def describe(self, _repository: bytes) -> Deferred[object]:
            asked.append(Deferred())
            return asked[-1]

    pool: Any = Pool()

    def make_host(path: bytes) -> HostedRepository:
        return HostedRepository(
            path, registry=Registry(), switches=ApiSwitches(), access=AccessRules(), pool=pool
        )

    hosts = HostLookup(
        {},
        [Collection(prefix="/", folder=tmp_path)],
        make_host=make_host,
        limits=Limits(known_repositories=1),
    )
    found = hosts.find([b"a"])
    assert found is not None
    waiting = found.host.settings()
    assert isinstance(waiting, Deferred)
    hosts.find([b"b"])
    again = hosts.find([b"a"])
    assert again is not None
    assert again.host is not found.host
    got: list[object] = []
    waiting.addCallback(got.append)
    asked[0].callback(described().encode())
    assert len(got) == 1


# --- listings ---------------------------------------------------------------------------------


def test_a_list_has_single_entries_and_those_of_collections_by_name(tmp_path: Path) -> None:
    make(tmp_path, "x/b", "x/sub/c", "y/b", "y/d")
    made = Made(
        {"/team/a": FakeHost(), "/team/x/b": FakeHost(), "/tool": FakeHost()},
        {"/team/x/*": tmp_path / "x", "/team/*": tmp_path / "y"},
    )
    team = ["team/a", "team/b", "team/d", "team/x/b", "team/x/sub/c"]
    assert made.listed("") == ([*team, "tool"], False)
    assert made.listed("team") == (team, False)
    assert made.listed("team/x") == (["team/x/b", "team/x/sub/c"], False)
    assert made.listed("team/x/sub") == (["team/x/sub/c"], False)
    assert made.listed("other") == ([], False)


def test_a_list_is_cut_at_its_limits_and_says_so(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    made = Made(collections={"/*": tmp_path}, limits=Limits(index_entries=2))
    assert made.listed("") == (["a", "b"], True)
    made = Made(collections={"/*": tmp_path}, limits=Limits(index_scan=2))
    shown, is_cut = made.listed("")
    assert (len(shown), is_cut) == (2, True)
    made = Made(collections={"/*": tmp_path}, limits=Limits(index_entries=3, index_scan=3))
    assert made.listed("") == (["a", "b", "c"], False)


def test_paths_that_may_have_a_list(tmp_path: Path) -> None:
    make(tmp_path, "sub/one", "repository/inner/two", ".hidden/three")
    made = Made({"/a/b/c": FakeHost()}, {"/team/*": tmp_path, "/all/**": tmp_path})
    may = {
        "": True,
        "a": True,
        "a/b": True,
        "a/x": False,
        "team": True,
        "team/sub": True,
        "team/missing": False,
        "team/..": False,
        "team/.hidden": False,
        "x": False,
    }
    assert {path: made.hosts.may_list(names(path)) for path in may} == may
    assert made.hosts.is_configured(names("team"))
    assert made.hosts.is_configured(())
    assert not made.hosts.is_configured(names("team/sub"))
    assert not made.hosts.is_configured(names("a"))


class Threads:
    """Calls functions when the test says so, one after the other."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.calls.append(lambda: done.callback(call(*arguments)))
        return done


def test_one_search_at_a_time_and_who_asks_while_it_runs_gets_a_later_one(tmp_path: Path) -> None:
    threads = Threads()
    hosts = Made(collections={"/*": tmp_path}, call_in_thread=threads).hosts
    got: list[tuple[int, list[str]]] = []

    def ask(number: int) -> None:
        listing = hosts.list_below(())
        listing.addCallback(
            lambda each: got.append((number, [show(entry.names) for entry in each.entries]))
        )

    ask(1)
    ask(2)
    ask(3)
    assert len(threads.calls) == 1
    threads.calls[0]()
    assert got == [(1, [])]
    make(tmp_path, "new")
    assert len(threads.calls) == 2
    threads.calls[1]()
    assert got[1:] == [(2, ["new"]), (3, ["new"])]
    assert len(threads.calls) == 2


def test_a_search_that_fails_is_told_and_the_next_one_is_done(tmp_path: Path) -> None:
    failures: list[object] = []
    answers: list[Deferred[Any]] = []

    def call(*_: object) -> Deferred[Any]:
        answers.append(Deferred())
        return answers[-1]

    hosts = Made(collections={"/*": tmp_path}, call_in_thread=call).hosts
    hosts.list_below(()).addErrback(lambda failure: failures.append(failure.value))
    hosts.list_below((b"x",)).addErrback(lambda failure: failures.append(failure.value))
    error = OSError("no")
    answers[0].errback(error)
    assert failures == [error]
    assert len(answers) == 2
    answers[1].errback(error)
    assert failures == [error, error]


def test_few_repositories_are_described_side_by_side() -> None:
    class Slow(FakeHost):
        def known_settings(self) -> None:
            """Nothing is known before it was asked for."""

        def settings(self) -> Any:
            waiting.append(Deferred())
            return waiting[-1]

    waiting: list[Deferred[Any]] = []
    hosts = HostLookup({})
    done: list[object] = []
    for _ in range(6):
        Deferred.fromCoroutine(hosts.describe(Slow())).addCallback(done.append)
    assert len(waiting) == 4
    waiting[1].callback(settings_of())
    assert (len(waiting), len(done)) == (5, 1)
    failed: list[object] = []
    waiting[0].addErrback(failed.append)
    waiting[0].callback(settings_of())
    assert (len(waiting), len(done)) == (6, 2)


# --- for the start ----------------------------------------------------------------------------


def test_all_repositories_are_named_each_once(tmp_path: Path) -> None:
    make(tmp_path, "single", "all/one", "all/sub/two")
    (tmp_path / "all/alias").symlink_to("one")

    class Pool:
        reactor = Clock()

    pool: Any = Pool()
    single, one = (
        HostedRepository(
            os.fsencode(tmp_path / name),
            registry=Registry(),
            switches=ApiSwitches(),
            access=AccessRules(),
            pool=pool,
        )
        for name in ("single", "all/one")
    )
    made = Made({"/": single, "/one": one, "/x": FakeHost()}, {"/*": tmp_path / "all"})  # type: ignore[dict-item]
    assert [
        os.path.relpath(os.fsdecode(path), tmp_path) for path in made.hosts.iter_repositories()
    ] == [
        "single",
        "all/one",
        "all/sub/two",
    ]


def test_collections_need_something_that_makes_hosts(tmp_path: Path) -> None:
    make(tmp_path, "one")
    hosts = HostLookup({}, [Collection(prefix="/", folder=tmp_path)])
    with pytest.raises(TypeError):
        hosts.find([b"one"])


# --- moved ----------------------------------------------------------------------------------------


def test_a_path_that_has_moved_is_found_by_its_old_name(tmp_path: Path) -> None:
    make(tmp_path, "inner")
    team = FakeHost()
    made = Made(
        {"/team/new": team},
        {"/all/*": tmp_path},
        moved={"/old": "/team/new", "/old/deep": "/all", "/gone": "/nowhere"},
    )
    assert made.find("old") == (team, 1)
    assert made.find("old/rev/1") == (team, 1)
    found = made.hosts.find(names("old/rev"))
    assert found is not None
    assert found.moved_to == names("team/new")
    # The longest old path counts; a collection may have moved as well.
    found = made.hosts.find(names("old/deep/inner/log"))
    assert found is not None
    assert (found.consumed, found.moved_to) == (3, names("all/inner"))
    assert made.find("gone") is None
    found = made.hosts.find(names("team/new"))
    assert found is not None
    assert found.moved_to is None


def test_a_repository_at_the_old_path_is_served_and_the_log_says_so_once(
    tmp_path: Path, logged: list[LogEvent]
) -> None:
    make(tmp_path, "new", "free/x", "deep/inner")
    moved = {"/team/old": "/team/new", "/team/deep": "/team/new", "/first": "/team/old"}
    made = Made(collections={"/team/*": tmp_path}, moved=moved)
    found = made.hosts.find(names("team/old"))
    assert found is not None
    # Somebody may make a repository there, which counts at once.
    assert (found.moved_to, found.is_fixed) == (names("team/new"), False)
    made.hosts.tell_moves()
    assert logged == []
    make(tmp_path, "old")
    for path in ("team/old", "team/old/file"):
        found = made.hosts.find(names(path))
        assert found is not None
        assert (found.consumed, found.moved_to) == (2, None)
    assert os.path.basename(made.paths[-1]) == "old"  # noqa: PTH119 text
    assert made.hosts.now_at(names("team/old")) == names("team/old")
    # What has moved there before is found there, too.
    found = made.hosts.find(names("first/file"))
    assert found is not None
    assert (found.consumed, found.moved_to) == (1, names("team/old"))
    # So is what is below an old path.
    found = made.hosts.find(names("team/deep/inner"))
    assert found is not None
    assert (found.consumed, found.moved_to) == (3, None)
    assert made.hosts.now_at(names("team/deep")) == names("team/new")
    made.hosts.tell_moves()
    assert [(event["old"], event["path"]) for event in logged] == [
        ("/team/old", "/team/old"),
        ("/team/deep", "/team/deep/inner"),
    ]


def test_a_single_entry_below_an_old_path_is_served() -> None:
    inner = FakeHost()
    made = Made({"/old/inner": inner, "/new": FakeHost()}, moved={"/old": "/new"})
    assert made.find("old/inner/file") == (inner, 2)
    found = made.hosts.find(names("old/other"))
    assert found is not None
    assert found.moved_to == names("new")


def test_a_repository_above_the_new_path_is_not_the_one_that_has_moved() -> None:
    made = Made({"/team": FakeHost()}, moved={"/old": "/team/new"})
    assert made.find("team/new") is not None
    assert made.find("old") is None


@pytest.mark.parametrize(
    ("path", "consumed", "moved_to"),
    [
        ("first/log", 1, "third/place"),
        ("second/log", 1, "third/place"),
        ("group/one/log", 2, "third/place"),
        ("older/one/log", 2, "third/place"),
        ("older/place/log", 2, "third/place"),
    ],
)
def test_a_path_that_has_moved_more_than_once_is_followed(
    path: str, consumed: int, moved_to: str
) -> None:
    host = FakeHost()
    moved = {
        "/first": "/second",
        "/second": "/third/place",
        "/older": "/group",
        "/group/one": "/second",
        "/group": "/third",
    }
    found = Made({"/third/place": host}, moved=moved).hosts.find(names(path))
    assert found is not None
    assert (found.host, found.consumed, found.moved_to) == (host, consumed, names(moved_to))
