"""Clones of unmodified clients that come from the disk, and what makes a worker be asked anew."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest
from support.changing import made_secret, stripped
from support.hg import HG7, copy_repository
from support.repositories import run_hg, write_hgrc
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
KEPT: Final = r"a clone of \S+ is kept"
SENT: Final = r"a clone of \S+ is sent as it was kept"
SETTINGS: Final = 'push_ssl = false\nallow-push = ["*"]'


@pytest.fixture
def daemon(short: Generated, tmp_path: Path) -> Iterator[Served]:
    """A daemon with a repository of its own."""
    repository = copy_repository(short.folder, tmp_path / "repository")
    write_hgrc(repository, DRAFTS + EVOLUTION)
    with Served.start({"r": repository}, tmp_path, web=SETTINGS) as served:
        yield served


class Clones:
    """Clones one repository again and again."""

    def __init__(self, served: Served, folder: Path, hg: Hg = HG7) -> None:
        self.served = served
        self.folder = folder
        self.repository = served.folders["r"]
        self.hg = hg
        self.made = 0

    def make(self, *options: str) -> Path:
        """Clone, and compare the clone with the repository."""
        self.made += 1
        target = self.folder / f"clone-{self.made}"
        self.hg.run(
            "clone", "--noupdate", *options, self.served.url("r"), str(target), folder=self.folder
        )
        HG7.verify(target)
        found, wanted = HG7.view(target), HG7.view(self.repository, NOT_SECRET)
        assert found.changesets == wanted.changesets
        assert found.heads == wanted.heads
        return target

    def log_of(self, *options: str) -> list[str]:
        """Clone, and give the lines about kept clones, once the request is over."""
        after = self.served.lines_logged()
        self.make(*options)
        daemon = self.served.daemon
        daemon.wait_for_log(rf"{KEPT}|{SENT}", after=after)
        lines = daemon.log.splitlines()[after:]
        return [found[0] for line in lines if (found := re.search(rf"{KEPT}|{SENT}", line))]

    def is_kept(self, *options: str) -> bool:
        """Clone, and say whether a worker was asked and its answer kept."""
        (line,) = self.log_of(*options)
        return re.search(KEPT, line) is not None


@pytest.mark.parametrize("options", [(), ("--stream",), ("-r", "10")])
def test_the_second_clone_is_the_first_ones_answer(
    daemon: Served, tmp_path: Path, options: tuple[str, ...]
) -> None:
    run_hg("phase", "--draft", "-f", "-r", "secret()", folder=daemon.folders["r"])
    if options[:1] == ("-r",):
        run_hg("clone", *options, "--noupdate", daemon.url("r"), "a", folder=tmp_path)
        daemon.daemon.wait_for_log(KEPT)
        run_hg("clone", *options, "--noupdate", daemon.url("r"), "b", folder=tmp_path)
        daemon.daemon.wait_for_log(SENT)
        assert HG7.view(tmp_path / "a") == HG7.view(tmp_path / "b")
        return
    clones = Clones(daemon, tmp_path)
    assert clones.is_kept(*options)
    assert not clones.is_kept(*options)
    assert not clones.is_kept(*options)


@pytest.mark.parametrize("engine", ["zstd", "zlib", "none"])
def test_each_compression_is_kept(daemon: Served, tmp_path: Path, engine: str) -> None:
    clones = Clones(daemon, tmp_path)
    write_hgrc(clones.repository, f"{DRAFTS}[server]\ncompressionengines = {engine}\n")
    assert [clones.is_kept(), clones.is_kept()] == [True, False]


def test_a_client_of_another_age_has_an_answer_of_its_own(
    daemon: Served, tmp_path: Path, hg6: Hg
) -> None:
    clones = Clones(daemon, tmp_path)
    assert clones.is_kept()
    clones.hg = hg6
    clones.log_of()
    assert not clones.is_kept()


def test_a_client_without_bundle2_gets_what_it_understands(daemon: Served, tmp_path: Path) -> None:
    clones = Clones(daemon, tmp_path)
    run_hg("phase", "--public", "-r", NOT_SECRET, folder=clones.repository)
    write_hgrc(clones.repository, NO_BUNDLES)
    plain = ("--config", "devel.legacy.exchange=bundle1")
    assert clones.is_kept()
    assert [clones.is_kept(*plain), clones.is_kept(*plain)] == [True, False]


def test_arguments_in_a_body_are_part_of_the_request(daemon: Served, tmp_path: Path) -> None:
    clones = Clones(daemon, tmp_path)
    write_hgrc(clones.repository, f"{DRAFTS}[experimental]\nhttppostargs = yes\n")
    after = daemon.lines_logged()
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    assert "POST /r?cmd=getbundle" in "\n".join(daemon.daemon.log.splitlines()[after:])


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
def test_what_was_kept_before_a_change_is_not_sent_behind_it(
    daemon: Served, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    clones = Clones(daemon, tmp_path)
    run_hg("phase", "--draft", "-f", "-r", "secret()", folder=clones.repository)
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    change(clones.repository)
    # The comparison with the repository is in `make`.
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    secrets = HG7.nodes("secret()", folder=clones.repository)
    found = HG7.nodes("all()", folder=tmp_path / f"clone-{clones.made}")
    assert set(found).isdisjoint(secrets)


def test_a_push_is_in_the_next_clone(daemon: Served, tmp_path: Path) -> None:
    clones = Clones(daemon, tmp_path)
    assert clones.is_kept()
    work = clones.make()
    run_hg("update", "-q", "tip", folder=work)
    (work / "more").write_text("more", encoding="ascii")
    run_hg("commit", "-A", "-q", "-u", "x", "-m", "more", folder=work)
    run_hg("push", "-q", daemon.url("r"), folder=work)
    assert [clones.is_kept(), clones.is_kept()] == [True, False]


def test_those_who_may_not_read_get_nothing_that_was_kept(daemon: Served, tmp_path: Path) -> None:
    clones = Clones(daemon, tmp_path)
    assert [clones.is_kept(), clones.is_kept()] == [True, False]
    write_hgrc(clones.repository, f"{DRAFTS}[web]\ndeny_read = *\n")
    refusal = HG7.refusal("clone", daemon.url("r"), "no", folder=tmp_path)
    assert b"authorization failed" in refusal
    write_hgrc(clones.repository, f"{DRAFTS}[web]\nallow-pull = no\n")
    assert HG7.refusal("clone", daemon.url("r"), "no", folder=tmp_path)


def test_a_repository_may_have_none_kept(daemon: Served, tmp_path: Path) -> None:
    clones = Clones(daemon, tmp_path)
    write_hgrc(clones.repository, f"{DRAFTS}[wiredaemon]\nkeep-clones = no\n")
    clones.make()
    clones.make()
    write_hgrc(clones.repository, f"{DRAFTS}[hooks]\noutgoing = touch {tmp_path}/ran\n")
    clones.make()
    assert (tmp_path / "ran").exists()
    daemon.wait_for_request(r"/r\?cmd=getbundle")
    assert re.search(rf"{KEPT}|{SENT}", daemon.daemon.log) is None


def test_those_who_ask_meanwhile_share_one_answer(daemon: Served, tmp_path: Path) -> None:
    def make(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        Clones(daemon, folder).make()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    daemon.daemon.wait_for_log(KEPT)
    assert len(re.findall(KEPT, daemon.daemon.log)) == 1


def test_what_was_kept_outlives_a_restart(short: Generated, tmp_path: Path) -> None:
    repository = copy_repository(short.folder, tmp_path / "repository")
    write_hgrc(repository, DRAFTS)
    for is_first in (True, False):
        with Served.start({"r": repository}, tmp_path, web=SETTINGS) as served:
            clones = Clones(served, tmp_path)
            clones.made = 0 if is_first else 10
            assert clones.is_kept() is is_first
    folder = tmp_path / "data" / "cache" / "clones" / "responses"
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_damaged_file_is_never_sent(short: Generated, tmp_path: Path) -> None:
    repository = copy_repository(short.folder, tmp_path / "repository")
    write_hgrc(repository, DRAFTS)
    with Served.start({"r": repository}, tmp_path, web=SETTINGS) as served:
        assert Clones(served, tmp_path).is_kept()
    folder = tmp_path / "data" / "cache" / "clones" / "responses"
    (file,) = (file for file in folder.iterdir() if file.name != "lock")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with Served.start({"r": repository}, tmp_path, web=SETTINGS) as served:
        clones = Clones(served, tmp_path)
        clones.made = 10
        assert clones.is_kept()
        assert "a kept response is damaged" in served.daemon.log
