"""Clones of unmodified clients that come from the disk, and what makes a worker be asked anew."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest
from support.changing import made_secret, stripped
from support.hg import HG7, copy_repository
from support.own_names import own_names
from support.repositories import run_hg, wait_until_settled, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.conftest import Generated
    from support.hg import Hg

NO_BUNDLES: Final = "[wiredaemon]\nclone-bundles = no\n"
DRAFTS: Final = f"[phases]\npublish = no\n{NO_BUNDLES}"
EVOLUTION: Final = "[experimental]\nevolution = all\n"
NOT_SECRET: Final = "not secret()"
KEPT: Final = r"a clone of \S+/%s is kept"
SENT: Final = r"a clone of \S+/%s is sent as it was kept"
SETTINGS: Final = 'push_ssl = false\nallow-push = ["*"]'


@pytest.fixture(scope="module")
def served(
    short: Generated, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Served]:
    """A daemon with repositories, one for each test."""
    folder = tmp_path_factory.mktemp("kept")
    names = own_names(request, "clones").values()
    folders = {name: copy_repository(short.folder, folder / name) for name in names}
    for repository in folders.values():
        write_hgrc(repository, DRAFTS + EVOLUTION)
    with Served.start(folders, folder, web=SETTINGS) as running:
        yield running


class Clones:
    """Clones one repository again and again."""

    def __init__(self, served: Served, name: str, folder: Path) -> None:
        self.served = served
        self.daemon = served.daemon
        self.folder = folder
        self.name = name
        self.repository = served.folders[name]
        self.url = served.url(name)
        self.kept = KEPT % name
        self.sent = SENT % name
        self.hg = HG7
        self.made = 0

    @property
    def last(self) -> Path:
        """The last clone."""
        return self.folder / f"clone-{self.made}"

    def make(self, *options: str) -> None:
        """Clone, and compare the clone with the repository."""
        self.made += 1
        self.hg.run("clone", "--noupdate", *options, self.url, str(self.last), folder=self.folder)
        HG7.verify(self.last)
        found, wanted = HG7.view(self.last), HG7.view(self.repository, NOT_SECRET)
        assert found.changesets == wanted.changesets
        assert found.heads == wanted.heads

    def lines(self, after: int = 0) -> list[str]:
        """Return what the log says of kept clones of the repository."""
        either = rf"{self.kept}|{self.sent}"
        lines = self.daemon.log.splitlines()[after:]
        return [found[0] for line in lines if (found := re.search(either, line))]

    def is_kept(self, *options: str) -> bool:
        """Clone, and say whether a worker was asked and its answer kept."""
        wait_until_settled(self.repository)
        after = self.served.lines_logged()
        self.make(*options)
        self.daemon.wait_for_log(rf"{self.kept}|{self.sent}", after=after)
        (line,) = self.lines(after)
        return re.search(self.kept, line) is not None


@pytest.fixture
def clones(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Clones:
    """Clones of one of the repositories, which no other test uses."""
    return Clones(served, own_names(request, "clones")[request.node.nodeid], tmp_path)


@pytest.mark.parametrize("options", [(), ("--stream",)])
def test_the_second_clone_is_the_first_ones_answer(
    clones: Clones, options: tuple[str, ...]
) -> None:
    run_hg("phase", "--draft", "-f", "-r", "secret()", folder=clones.repository)
    assert clones.is_kept(*options)
    assert not clones.is_kept(*options)
    assert not clones.is_kept(*options)


def test_the_second_clone_of_a_part_is_the_first_ones_answer(
    clones: Clones, tmp_path: Path
) -> None:
    part = ("-r", "10", "--noupdate")
    run_hg("clone", *part, clones.url, "a", folder=tmp_path)
    clones.daemon.wait_for_log(clones.kept)
    run_hg("clone", *part, clones.url, "b", folder=tmp_path)
    clones.daemon.wait_for_log(clones.sent)
    assert HG7.view(tmp_path / "a") == HG7.view(tmp_path / "b")


@pytest.mark.parametrize("engine", ["zstd", "zlib", "none"])
def test_each_compression_is_kept(clones: Clones, engine: str) -> None:
    write_hgrc(clones.repository, f"{DRAFTS}[server]\ncompressionengines = {engine}\n")
    assert [clones.is_kept(), clones.is_kept()] == [True, False]


def test_a_client_of_another_age_has_an_answer_of_its_own(clones: Clones, hg6: Hg) -> None:
    assert clones.is_kept()
    clones.hg = hg6
    clones.is_kept()
    assert not clones.is_kept()


def test_a_client_without_bundle2_gets_what_it_understands(clones: Clones) -> None:
    run_hg("phase", "--public", "-r", NOT_SECRET, folder=clones.repository)
    write_hgrc(clones.repository, NO_BUNDLES)
    plain = ("--config", "devel.legacy.exchange=bundle1")
    assert clones.is_kept()
    assert [clones.is_kept(*plain), clones.is_kept(*plain)] == [True, False]


def test_arguments_in_a_body_are_part_of_the_request(clones: Clones) -> None:
    write_hgrc(clones.repository, f"{DRAFTS}[experimental]\nhttppostargs = yes\n")
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    assert f"POST /{clones.name}?cmd=getbundle" in clones.daemon.log


def secret_added(repository: Path) -> None:
    run_hg("update", "-q", "-C", "tip", folder=repository)
    (repository / "a secret").write_text("hidden", encoding="ascii")
    run_hg("commit", "-A", "-q", "-s", "-u", "x", "-m", "a secret", folder=repository)


def made_obsolete(repository: Path) -> None:
    node = HG7.nodes("last(heads(not secret()))", folder=repository)[0]
    run_hg("debugobsolete", node, folder=repository)


def bookmarked(repository: Path) -> None:
    run_hg("bookmark", "-r", "3", "another", folder=repository)


def published(repository: Path) -> None:
    run_hg("phase", "--public", "-r", NOT_SECRET, folder=repository)


def configured(repository: Path) -> None:
    write_hgrc(repository, f"{DRAFTS}{EVOLUTION}[server]\nzliblevel = 2\n")


@pytest.mark.parametrize(
    "change",
    [secret_added, made_secret, stripped, made_obsolete, bookmarked, published, configured],
)
def test_what_was_kept_before_a_change_is_not_sent_after_it(
    clones: Clones, change: Callable[[Path], None]
) -> None:
    run_hg("phase", "--draft", "-f", "-r", "secret()", folder=clones.repository)
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    change(clones.repository)
    # The comparison with the repository is in `make`.
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    secrets = HG7.nodes("secret()", folder=clones.repository)
    found = HG7.nodes("all()", folder=clones.last)
    assert set(found).isdisjoint(secrets)


def test_a_push_is_in_the_next_clone(clones: Clones) -> None:
    assert clones.is_kept()
    clones.make()
    work = clones.last
    run_hg("update", "-q", "tip", folder=work)
    (work / "more").write_text("more", encoding="ascii")
    run_hg("commit", "-A", "-q", "-u", "x", "-m", "more", folder=work)
    run_hg("push", "-q", clones.url, folder=work)
    assert [clones.is_kept(), clones.is_kept()] == [True, False]


def test_those_who_may_not_read_get_nothing_that_was_kept(clones: Clones, tmp_path: Path) -> None:
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    write_hgrc(clones.repository, f"{DRAFTS}[web]\ndeny_read = *\n")
    refusal = HG7.refusal("clone", clones.url, "no", folder=tmp_path)
    assert b"authorization failed" in refusal
    write_hgrc(clones.repository, f"{DRAFTS}[web]\nallow-pull = no\n")
    assert HG7.refusal("clone", clones.url, "no", folder=tmp_path)


def test_a_repository_may_have_none_kept(clones: Clones, tmp_path: Path) -> None:
    write_hgrc(clones.repository, f"{DRAFTS}[wiredaemon]\nkeep-clones = no\n")
    clones.make()
    clones.make()
    write_hgrc(clones.repository, f"{DRAFTS}[hooks]\noutgoing = touch {tmp_path}/ran\n")
    clones.make()
    assert (tmp_path / "ran").exists()
    clones.served.wait_for_request(rf"/{clones.name}\?cmd=getbundle")
    assert clones.lines() == []


def test_those_who_ask_meanwhile_share_one_answer(clones: Clones, tmp_path: Path) -> None:
    def make(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        Clones(clones.served, clones.name, folder).make()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    clones.daemon.wait_for_log(clones.kept)
    assert len(re.findall(clones.kept, clones.daemon.log)) == 1


def test_what_was_kept_outlives_a_restart_but_not_when_it_is_damaged(
    short: Generated, tmp_path: Path
) -> None:
    repository = copy_repository(short.folder, tmp_path / "r")
    write_hgrc(repository, DRAFTS)
    folder = tmp_path / "data" / "cache" / "clones" / "responses"

    def is_kept(part: str) -> tuple[bool, str]:
        (tmp_path / part).mkdir()
        with Served.start({"r": repository}, tmp_path, web=SETTINGS) as served:
            return Clones(served, "r", tmp_path / part).is_kept(), served.daemon.log

    assert is_kept("first")[0]
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not is_kept("second")[0]
    (file,) = (file for file in folder.iterdir() if file.name != "lock")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    again, log = is_kept("third")
    assert again
    assert "a kept response is damaged" in log
