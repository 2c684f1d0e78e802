"""Pushes whose worker or daemon is killed: what was acknowledged is there, the next push works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.crash import run_rounds

if TYPE_CHECKING:
    from pathlib import Path


def test_kills_in_the_middle_of_pushes_lose_nothing_and_need_no_help(tmp_path: Path) -> None:
    # A hundred rounds are `make crash`; these few show that the parts work together.
    counts = run_rounds(4, tmp_path, clients=2)
    killed = counts.workers_killed + counts.daemons_killed + counts.daemons_and_workers_killed
    assert killed
    assert counts.acknowledged >= 2 * 4  # every client's last push, one changeset a round
    assert counts.recovered >= counts.transactions_left - counts.interrupted
    assert (counts.lost, counts.damaged, counts.stuck) == (0, 0, 0)
