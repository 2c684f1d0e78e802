from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wiredaemon.repository.clone_bundles import StreamsFirst
from wiredaemon.repository.descriptions import Description
from wiredaemon.repository.stat_signatures import stat_files
from wiredaemon.worker.clone_bundles import bundle_specs
from wiredaemon.worker.describe import describe
from wiredaemon.worker.extension_sets import set_of
from wiredaemon.worker.kept_clones import clones_key
from wiredaemon.worker.opening import RepositoryUnavailable, open_repository, served
from wiredaemon.worker.values import capabilities_v1
from wiredaemon.worker.web import version1_commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from worker.conftest import Repository

# Mercurial leaves included configuration files to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


WEB = """
[web]
push_ssl = no
allow-push = alice, bob carol
deny_push = mallory
allow_read = *
deny_read =
allow-pull = off
"""
WEB_VALUES = {
    b"push_ssl": False,
    b"allow-push": [b"alice", b"bob", b"carol"],
    b"deny_push": [b"mallory"],
    b"allow_read": [b"*"],
    b"deny_read": [],
    b"allow-pull": False,
}

API = """
[experimental]
web.apiserver = true
web.api.http-v2 = 1
web.api.debugreflect = off
web.api.json = yes
"""
API_VALUES = {b"enabled": True, b"http_v2": True, b"debugreflect": False, b"json": True}


def test_a_plain_repository_is_described_in_full(empty: Repository) -> None:
    described = describe(empty.path)
    watched, state = described.watched, described.state
    repository = served(open_repository(empty.path))
    assert described == Description(
        web={},
        api={},
        requirements=[
            b"generaldelta",
            b"revlog-compression-zstd",
            b"revlogv1",
            b"sparserevlog",
        ],
        compression=[b"zstd", b"zlib"],
        stream_allowed=True,
        capabilities=capabilities_v1(repository),
        version1=version1_commands(repository),
        description=b"",
        contact=b"",
        name=b"",
        labels=[],
        hidden=False,
        extensions=set_of(repository.ui),
        journals=[os.fsencode(empty.folder / ".hg/store/journal")],
        clones=clones_key(repository),
        clones_by_user=False,
        bundles=bundle_specs(repository),
        streams_first=StreamsFirst.NEAR,
        watched=watched,
        rare=described.rare,
        state=state,
    )
    folder = os.fsencode(empty.folder / ".hg")
    assert state == [
        folder + b"/store/00changelog.i",
        folder + b"/store/00changelog.d",
        folder + b"/store/phaseroots",
        folder + b"/store/obsstore",
        folder + b"/store/undo.backupfiles",
        folder + b"/bookmarks",
        folder + b"/store/bookmarks",
        folder + b"/localtags",
        folder + b"/dirstate",
        folder + b"/clonebundles.manifest",
        folder + b"/hgrc",
        folder + b"/hgrc-not-shared",
        folder + b"/requires",
        folder + b"/store/requires",
    ]
    assert watched == [
        folder + b"/hgrc",
        folder + b"/hgrc-not-shared",
        folder + b"/requires",
        folder + b"/store/requires",
        folder + b"/store/phaseroots",
        folder + b"/store/obsstore",
        folder + b"/clonebundles.manifest",
        folder + b"/pullbundles.manifest",
    ]


def test_the_settings_of_the_repository_are_given(empty: Repository) -> None:
    empty.hgrc.write_text(WEB + API)
    described = describe(empty.path)
    assert described.web == WEB_VALUES
    assert described.api == API_VALUES


PEOPLE = """
[web]
description = What a café is for
contact = Somebody
name = The café
labels = old, large
hidden = yes
"""
PEOPLE_VALUES = (
    *("What a café is for".encode(), b"Somebody"),
    *("The café".encode(), [b"old", b"large"], True),
)


def for_people(described: Description) -> tuple[object, ...]:
    return (
        *(described.description, described.contact),
        *(described.name, described.labels, described.hidden),
    )


def test_what_lists_show_is_given(empty: Repository) -> None:
    empty.hgrc.write_text(PEOPLE)
    assert for_people(describe(empty.path)) == PEOPLE_VALUES


def test_an_untrusted_file_may_say_what_lists_show(
    empty: Repository, give_away: Callable[[Path], None]
) -> None:
    empty.hgrc.write_text(PEOPLE)
    give_away(empty.hgrc)
    assert for_people(describe(empty.path)) == PEOPLE_VALUES


def test_where_nobody_is_named_the_user_is_to_be_written_to(empty: Repository) -> None:
    empty.hgrc.write_text("[ui]\nusername = Ann\n")
    assert describe(empty.path).contact == b"Ann"


@pytest.mark.parametrize(
    "change",
    [
        ("commit", "--config", "ui.allowemptycommit=yes", "-m", "new", "-u", "test"),
        ("bookmark", "--force", "-r", "1", "main"),
        ("phase", "--public", "-r", "7"),
        ("phase", "--draft", "-r", "8"),
        ("tag", "--local", "-r", "2", "there"),
        ("update", "-r", "1"),
        ("debugobsolete", "--config", "experimental.evolution=all", "1" * 40),
    ],
    ids=lambda change: " ".join(change[:2]),
)
def test_no_answer_changes_without_a_change_of_the_state(
    history: Repository, change: tuple[str, ...]
) -> None:
    state = describe(history.path).state
    before = stat_files(state)
    history.hg(*change)
    assert stat_files(state) != before


def test_a_share_has_the_state_of_its_source(history: Repository, tmp_path: Path) -> None:
    share = tmp_path / "share"
    history.hg(
        *("--config", "extensions.share=", "share", "--noupdate", "--bookmarks"),
        *(str(history.folder), str(share)),
    )
    described = describe(os.fsencode(share))
    own, source = os.fsencode(share / ".hg"), os.fsencode(history.folder / ".hg")
    state = described.state
    assert {
        source + b"/store/00changelog.i",
        own + b"/bookmarks",
        source + b"/bookmarks",
        own + b"/localtags",
    } <= set(state)
    assert described.journals == [source + b"/store/journal"]


def test_an_untrusted_file_sets_web_but_not_the_api(
    empty: Repository,
    give_away: Callable[[Path], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    empty.hgrc.write_text(WEB + API)
    give_away(empty.hgrc)
    described = describe(empty.path)
    assert described.web == WEB_VALUES
    assert described.api == {}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("is_told", [True, False])
def test_what_is_not_trusted_is_said_once_where_the_user_has_nothing_against_it(
    empty: Repository, tmp_path: Path, give_away: Callable[[Path], None], *, is_told: bool
) -> None:
    user = tmp_path / "user.rc"
    user.write_text(f"[ui]\nreport_untrusted = {is_told}\n")
    empty.hgrc.write_text(WEB)
    give_away(empty.hgrc)
    # A program of its own, for Mercurial keeps the standard error that it has found at its import.
    program = (
        "import os, sys\n"
        "from wiredaemon.worker.describe import describe\n"
        "from wiredaemon.worker.opening import KeptRepository\n"
        "describe(os.fsencode(sys.argv[1]))\n"
        "KeptRepository(os.fsencode(sys.argv[1])).served()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(empty.folder)],
        env={**os.environ, "HGRCPATH": str(user)},
        check=True,
        capture_output=True,
    )
    said = f"not trusting file {empty.hgrc} from untrusted user ".encode()
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == is_told
    assert done.stderr.startswith(said if is_told else b"")


def test_other_spellings_of_a_setting_count(empty: Repository) -> None:
    empty.hgrc.write_text("[web]\nallow_push = alice\nallowpull = false\n")
    assert describe(empty.path).web == {b"allow-push": [b"alice"], b"allow-pull": False}


def test_the_settings_of_included_and_user_files_count(
    empty: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "user.rc"
    user.write_text("[web]\nallow_read = alice\ndeny_read = bob\n")
    monkeypatch.setenv("HGRCPATH", str(user))
    more = tmp_path / "more.rc"
    more.write_text("[web]\ndeny_read = carol\n")
    empty.hgrc.write_text(f"%include {more}\n")
    described = describe(empty.path)
    assert described.web == {b"allow_read": [b"alice"], b"deny_read": [b"carol"]}
    watched = described.watched
    assert {os.fsencode(user), os.fsencode(more)} < set(watched)


def test_a_setting_taken_back_is_not_set(empty: Repository) -> None:
    empty.hgrc.write_text("[web]\nallow_read = *\n%unset allow_read\n")
    assert describe(empty.path).web == {}


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("[web]\npush_ssl = maybe\n", 2, "web.push_ssl"),
        ("[web]\n\nallowpull = maybe\n", 3, "web.allow"),
        ("[web]\nhidden = maybe\n", 2, "web.hidden"),
        ("[experimental]\nweb.apiserver = maybe\n", 2, "experimental.web.apiserver"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_named_with_its_line(
    empty: Repository, text: str, line: int, name: str
) -> None:
    empty.hgrc.write_text(text)
    with pytest.raises(RepositoryUnavailable) as caught:
        describe(empty.path)
    assert caught.value.reason.startswith(f"{empty.hgrc}:{line}: {name}")
    assert caught.value.reason.endswith(" is not a boolean ('maybe')")


def test_a_secret_changeset_forbids_stream_clones(history: Repository) -> None:
    assert describe(history.path).stream_allowed is False
    history.hg("phase", "--draft", "-r", "8")
    assert describe(history.path).stream_allowed is True


def test_stream_clones_may_be_switched_off(empty: Repository) -> None:
    empty.hgrc.write_text("[server]\nuncompressed = false\n")
    assert describe(empty.path).stream_allowed is False


def test_compression_engines_are_those_the_repository_allows(empty: Repository) -> None:
    empty.hgrc.write_text("[server]\ncompressionengines = zlib\n")
    assert describe(empty.path).compression == [b"zlib"]


def test_requirements_are_those_of_the_specification_for_a_zlib_repository(
    empty: Repository, tmp_path: Path
) -> None:
    folder = tmp_path / "zlib"
    empty.hg("init", "--config", "format.revlog-compression=zlib", str(folder))
    assert describe(os.fsencode(folder)).requirements == [
        b"generaldelta",
        b"revlogv1",
        b"sparserevlog",
    ]


def test_a_share_watches_its_source_too(history: Repository, tmp_path: Path) -> None:
    share = tmp_path / "share"
    history.hg(
        "--config", "extensions.share=", "share", "--noupdate", str(history.folder), str(share)
    )
    history.hgrc.write_text("[web]\nallow_read = *\n")
    described = describe(os.fsencode(share))
    own, source = os.fsencode(share / ".hg"), os.fsencode(history.folder / ".hg")
    assert described.watched == [
        own + b"/hgrc",
        own + b"/hgrc-not-shared",
        own + b"/requires",
        source + b"/hgrc",
        source + b"/hgrc-not-shared",
        source + b"/requires",
        source + b"/store/requires",
        source + b"/store/phaseroots",
        source + b"/store/obsstore",
        own + b"/clonebundles.manifest",
        own + b"/pullbundles.manifest",
    ]
    assert described.web == {b"allow_read": [b"*"]}


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnavailable) as caught:
        describe(os.fsencode(tmp_path / "missing"))
    assert caught.value.reason == f"{tmp_path}/missing: no Mercurial repository here"
