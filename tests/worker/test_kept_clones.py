"""The part of a clone's key that only a worker knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.repository.clone_bundles import ATTEMPT_COUNTS, StreamsFirst
from wiredaemon.worker.describe import describe
from wiredaemon.worker.kept_clones import clones_key, depends_on_user
from wiredaemon.worker.opening import RepositoryUnavailable, open_repository

if TYPE_CHECKING:
    from worker.conftest import Repository

pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


def key_of(repository: Repository, hgrc: str = "") -> bytes:
    repository.hgrc.write_text(hgrc)
    return clones_key(open_repository(repository.path))


def test_the_same_settings_make_the_same_key(empty: Repository) -> None:
    assert key_of(empty) == key_of(empty) != b""


def test_each_setting_is_part_of_the_key(empty: Repository) -> None:
    settings = ["", "[phases]\npublish = no\n", "[server]\nzliblevel = 1\n", "[a]\nb = c\n"]
    assert len({key_of(empty, each) for each in settings}) == len(settings)


def test_the_key_says_whether_clients_must_have_tried_bundles(empty: Repository) -> None:
    assert not key_of(empty).endswith(ATTEMPT_COUNTS)
    assert key_of(empty, "[server]\ndisablefullbundle = yes\n").endswith(ATTEMPT_COUNTS)


def test_software_is_part_of_the_key(empty: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of(empty)
    monkeypatch.setattr("wiredaemon.worker.library.mercurial_version", lambda: b"7.3")
    assert key_of(empty) != before


@pytest.mark.parametrize(
    "hgrc",
    [
        "[wiredaemon]\nkeep-clones = no\n",
        "[hooks]\noutgoing.mail = true\n",
        "[hooks]\npreoutgoing = true\n",
        "[hooks]\nprelistkeys.x = true\n",
        "[hooks]\nlistkeys = true\n",
    ],
)
def test_where_nothing_is_kept_there_is_no_key(empty: Repository, hgrc: str) -> None:
    assert key_of(empty, hgrc) == b""


def test_where_pulls_are_answered_with_bundles_nothing_is_kept(empty: Repository) -> None:
    (empty.folder / ".hg" / "pullbundles.manifest").write_bytes(b"")
    assert key_of(empty) == b""
    assert key_of(empty, "[server]\npullbundle = no\n")


def test_other_hooks_change_nothing_of_it(empty: Repository) -> None:
    assert key_of(empty, "[hooks]\nincoming = true\noutgoing =\n")


def test_a_switch_that_is_none_makes_the_repository_unavailable(empty: Repository) -> None:
    empty.hgrc.write_text("[wiredaemon]\nkeep-clones = perhaps\n")
    with pytest.raises(RepositoryUnavailable, match=r"hgrc:2.*keep-clones"):
        describe(empty.path)


@pytest.mark.parametrize(
    ("hgrc", "expected"),
    [
        ("", StreamsFirst.NEAR),
        ("[wiredaemon]\nstream-bundles-first = near\n", StreamsFirst.NEAR),
        ("[wiredaemon]\nstream-bundles-first = Near\n", StreamsFirst.NEAR),
        ("[wiredaemon]\nstream-bundles-first = yes\n", StreamsFirst.YES),
        ("[wiredaemon]\nstream-bundles-first = 0\n", StreamsFirst.NO),
    ],
)
def test_copies_of_the_store_go_first_for_clients_that_are_near_or_for_all_or_none(
    empty: Repository, hgrc: str, expected: StreamsFirst
) -> None:
    empty.hgrc.write_text(hgrc)
    assert describe(empty.path).streams_first is expected


def test_a_choice_that_is_none_makes_the_repository_unavailable(empty: Repository) -> None:
    empty.hgrc.write_text("[wiredaemon]\nstream-bundles-first = far\n")
    message = r"hgrc:2: wiredaemon\.stream-bundles-first is neither near nor a boolean \('far'\)"
    with pytest.raises(RepositoryUnavailable, match=message):
        describe(empty.path)


def test_users_count_where_there_is_an_extension(
    empty: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui = open_repository(empty.path).ui
    assert not depends_on_user(ui)
    monkeypatch.setattr(
        "wiredaemon.worker.library.extensions.extensions", lambda _ui: iter([(b"mine", pytest)])
    )
    assert depends_on_user(ui)


def test_functions_that_extensions_set_are_named_and_not_shown(empty: Repository) -> None:
    def key_with(hook: Any) -> bytes:
        opened = open_repository(empty.path)
        opened.ui.setconfig(b"hooks", b"incoming.x", hook, b"lfs")
        return clones_key(opened)

    def one() -> None: ...

    def another() -> None: ...

    assert key_with(one) == key_with(one) != key_with(another)
    assert key_with(True) != key_of(empty)  # noqa: FBT003 a value of Mercurial's
