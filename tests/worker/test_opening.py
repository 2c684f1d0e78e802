from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wiredaemon.worker import values
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.opening import (
    LOCK_SECONDS,
    KeptRepository,
    RepositoryUnavailable,
    open_repository,
    served,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from worker.conftest import Repository

# Mercurial leaves included configuration files to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


@pytest.fixture
def kept(history: Repository) -> Iterator[KeptRepository]:
    kept = KeptRepository(history.path)
    yield kept
    kept.close()


def reason(repository: Repository) -> str:
    with pytest.raises(RepositoryUnavailable) as caught:
        open_repository(repository.path)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def test_the_view_has_no_secret_changesets(history: Repository) -> None:
    assert history.nodes[8] not in values.heads(served(open_repository(history.path)))


def test_the_view_may_be_narrowed_by_the_repository(history: Repository) -> None:
    history.hgrc.write_text("[server]\nview = immutable\n")
    view = served(open_repository(history.path))
    assert values.heads(view) == [history.nodes[6], history.nodes[4]]


def test_the_library_is_set_up_for_a_server(history: Repository) -> None:
    program = (
        "import os, sys\n"
        "from wiredaemon.worker import library, opening\n"
        "ui = opening.open_repository(os.fsencode(sys.argv[1])).ui\n"
        "print(ui.plain(), ui.interactive(), library.encoding.encoding)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(history.folder)],
        env={"HGRCPATH": "", "LC_ALL": "C"},
        check=True,
        capture_output=True,
    )
    assert (done.stdout, done.stderr) == (b"False False b'utf-8'\n", b"")


def test_nothing_the_daemon_imports_loads_mercurial() -> None:
    program = "import sys, wiredaemon.repository.text as text; print('mercurial' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout == b"False\n"


def test_a_write_waits_for_a_lock_for_a_bounded_time(history: Repository) -> None:
    ui = open_repository(history.path).ui
    assert ui.config(b"ui", b"timeout") == b"%d" % LOCK_SECONDS


def test_the_repository_may_set_how_long_a_write_waits(history: Repository) -> None:
    history.hgrc.write_text("[ui]\ntimeout = 7\n")
    assert open_repository(history.path).ui.config(b"ui", b"timeout") == b"7"


def test_the_users_configuration_counts(
    history: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "user.rc"
    user.write_text("[ui]\ntimeout = 9\n[extensions]\nclonebundles =\n")
    monkeypatch.setenv("HGRCPATH", str(user))
    assert open_repository(history.path).ui.config(b"ui", b"timeout") == b"9"


def test_a_missing_repository_is_named(history: Repository) -> None:
    shutil.rmtree(history.folder)
    assert reason(history) == f"{history.folder}: no Mercurial repository here"


def test_a_folder_without_a_repository_is_named(history: Repository) -> None:
    shutil.rmtree(history.folder / ".hg")
    assert reason(history) == f"{history.folder}: no Mercurial repository here"


@pytest.mark.parametrize(
    ("text", "line"),
    [("[web\n", 1), ("[web]\npush_ssl = false\nwhat is this\n", 3), (" indented = 1\n", 1)],
)
def test_a_broken_hgrc_is_named_with_its_line(history: Repository, text: str, line: int) -> None:
    history.hgrc.write_text(text)
    assert reason(history).startswith(f"{history.hgrc}:{line}: ")


def test_a_broken_hgrc_that_is_not_trusted_is_named_too(
    history: Repository, give_away: Callable[[Path], None]
) -> None:
    history.hgrc.write_text("[web]\ndeny_read = *\nwhat is this\n")
    give_away(history.hgrc)
    assert reason(history).startswith(f"{history.hgrc}:3: ")


def test_an_hgrc_that_cannot_be_read_is_named(history: Repository) -> None:
    history.hgrc.mkdir()
    assert reason(history) == f"{history.hgrc}: Is a directory"


def test_a_broken_included_file_is_named(history: Repository) -> None:
    history.hgrc.write_text("%include more.rc\n")
    more = history.folder / ".hg" / "more.rc"
    more.write_text("[web\n")
    assert reason(history).startswith(f"{more}:1: ")


def test_a_broken_configuration_of_the_user_is_named(
    history: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "user.rc"
    user.write_text("[web\n")
    monkeypatch.setenv("HGRCPATH", str(user))
    assert reason(history).startswith(f"{user}:1: ")


def test_an_unknown_requirement_is_named(history: Repository) -> None:
    with (history.folder / ".hg" / "requires").open("a") as file:
        file.write("from-the-future\n")
    assert reason(history).startswith(
        f"{history.folder}: repository requires features unknown to this Mercurial: from-the-future"
    )


def test_a_share_whose_source_is_gone_is_named(history: Repository, tmp_path: Path) -> None:
    share = shared(history, tmp_path)
    shutil.rmtree(history.folder)
    with pytest.raises(RepositoryUnavailable, match=r"nonexistent directory .*history"):
        open_repository(str(share).encode())


def shared(history: Repository, tmp_path: Path) -> Path:
    share = tmp_path / "share"
    history.hg(
        "--config", "extensions.share=", "share", "--noupdate", str(history.folder), str(share)
    )
    return share


def test_a_shared_repository_has_its_sources_changesets(
    history: Repository, tmp_path: Path
) -> None:
    kept = KeptRepository(str(shared(history, tmp_path)).encode())
    assert values.heads(kept.served()) == [history.nodes[7], history.nodes[6]]
    new = history.commit("new")
    assert values.heads(kept.served())[0] == new


def test_a_kept_repository_sees_new_changesets(history: Repository, kept: KeptRepository) -> None:
    assert values.heads(kept.served())[0] == history.nodes[7]
    new = history.commit("new")
    assert values.heads(kept.served())[0] == new


def test_a_kept_repository_sees_bookmarks_moved_within_a_second(
    history: Repository, kept: KeptRepository
) -> None:
    for revision in (0, 1, 2, 3):
        history.hg("bookmark", "--force", "-r", str(revision), "main")
        assert values.lookup(kept.served(), b"main") == history.nodes[revision]


def test_a_kept_repository_sees_phases_change(history: Repository, kept: KeptRepository) -> None:
    kept.served()
    history.hg("phase", "--force", "--secret", "-r", "7")
    assert values.heads(kept.served()) == [history.nodes[6], history.nodes[4]]
    history.hg("phase", "--draft", "-r", "8")
    assert values.heads(kept.served())[0] == history.nodes[8]


def test_a_kept_repository_sees_an_update(history: Repository, kept: KeptRepository) -> None:
    assert values.lookup(kept.served(), b".") == history.nodes[7]
    history.hg("update", "-r", "2")
    assert values.lookup(kept.served(), b".") == history.nodes[2]


def test_a_kept_repository_sees_local_tags(history: Repository, kept: KeptRepository) -> None:
    assert values.lookup(kept.served(), b"here") == history.nodes[1]
    history.hg("tag", "--local", "--force", "-r", "3", "here")
    history.hg("tag", "--local", "-r", "2", "there")
    assert values.lookup(kept.served(), b"here") == history.nodes[3]
    assert values.lookup(kept.served(), b"there") == history.nodes[2]


def test_a_kept_repository_sees_a_new_hgrc(history: Repository, kept: KeptRepository) -> None:
    assert b"publishing" in values.listkeys(kept.served(), b"phases")
    history.hgrc.write_text("[phases]\npublish = false\n")
    assert b"publishing" not in values.listkeys(kept.served(), b"phases")


def test_what_is_attached_goes_with_the_open_repository(
    history: Repository, kept: KeptRepository
) -> None:
    def is_attached_after_next_use() -> bool:
        kept.attached[b"mine"] = object()
        kept.served()
        return b"mine" in kept.attached

    kept.served()
    assert is_attached_after_next_use()
    history.commit("new")
    assert not is_attached_after_next_use()
    history.hgrc.write_text("[phases]\npublish = false\n")
    assert not is_attached_after_next_use()
    kept.close()
    assert not is_attached_after_next_use()


def test_a_kept_repository_sees_an_included_file_change(
    history: Repository, kept: KeptRepository
) -> None:
    more = history.folder / ".hg" / "more.rc"
    more.write_text("[phases]\npublish = true\n")
    history.hgrc.write_text("%include more.rc\n")
    assert b"publishing" in values.listkeys(kept.served(), b"phases")
    more.write_text("[phases]\npublish = false\n")
    assert b"publishing" not in values.listkeys(kept.served(), b"phases")


def test_a_kept_repository_that_broke_recovers_when_mended(
    history: Repository, kept: KeptRepository
) -> None:
    kept.served()
    history.hgrc.write_text("[web\n")
    with pytest.raises(RepositoryUnavailable, match="hgrc:1"):
        kept.served()
    history.hgrc.write_text("")
    assert values.heads(kept.served())[0] == history.nodes[7]


def test_a_kept_repository_that_was_removed_may_come_back_as_another(
    history: Repository, empty: Repository, kept: KeptRepository
) -> None:
    kept.served()
    shutil.rmtree(history.folder)
    with pytest.raises(RepositoryUnavailable, match="no Mercurial repository here"):
        kept.served()
    empty.folder.rename(history.folder)
    assert values.heads(kept.served()) == [bytes(20)]
    with pytest.raises(Refusal, match="unknown revision"):
        values.lookup(kept.served(), b"main")


def test_a_closed_repository_opens_again(history: Repository, kept: KeptRepository) -> None:
    kept.served()
    kept.close()
    kept.close()
    assert values.heads(kept.served())[0] == history.nodes[7]
