from __future__ import annotations

from wiredaemon.daemon.doctor.finding import error, fine, status_of, warning


def test_the_worst_finding_decides_the_exit_status() -> None:
    good, bad, worst = fine("a", "b"), warning("a", "b", "c"), error("a", "b", "c")
    assert status_of([]) == 0
    assert status_of([good]) == 0
    assert status_of([bad, good]) == 1
    assert status_of([good, worst, bad]) == 2
