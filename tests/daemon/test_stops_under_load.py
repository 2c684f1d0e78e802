"""Stops and reloads at random moments under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.stops import run

if TYPE_CHECKING:
    from pathlib import Path


def test_reloads_fail_no_request_and_stops_leave_no_process(tmp_path: Path) -> None:
    # Two hundred stops are `make stops`; these few show that the parts work together.
    counts = run(3, 5, tmp_path)
    assert (counts.stops, counts.reloads) == (3, 5)
    assert counts.answered
    assert (counts.killed, counts.left, counts.errors) == (0, 0, [])
