"""Made up repositories: that they have what they promise, and are always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.hg import HG7

from tools.generated import generate
from tools.histories import History

if TYPE_CHECKING:
    from pathlib import Path


def test_a_seed_always_gives_the_same_repository(tmp_path: Path) -> None:
    first, again, other = (
        generate(tmp_path / name, changesets=60, seed=seed)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    assert first.nodes[-1] != other.nodes[-1]


def test_a_generated_repository_has_everything_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    summary = generate(folder, changesets=400)
    HG7.verify(folder)
    view = HG7.view(folder)
    assert len(summary.nodes) == summary.changesets == len(view.changesets) == 400
    assert min(summary.merges, summary.removals, summary.copies) > 3
    assert {one["phase"] for one in view.changesets.values()} == {"public", "draft", "secret"}
    assert HG7.nodes("secret()", folder=folder) == list(summary.secret)
    assert set(view.bookmarks) == set(summary.bookmarks)
    assert len(view.heads) > 5
    assert len(view.tags) > 3
    assert HG7.nodes("closed()", folder=folder) != []
    extras = {tuple(one["extras"]) for one in view.changesets.values()}
    assert any(len(each) > 3 for each in extras)


def test_removals_can_be_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    assert generate(folder, changesets=200, removals=False).removals == 0
    assert HG7.text("log", "-r", "removes('**')", "-T", "{node}", folder=folder) == ""


def test_a_history_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 40 changesets, not 39"):
        History(changesets=39, seed=1, removals=True, nodes=[])
