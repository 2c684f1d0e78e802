"""Every state of a worker with everything that can happen to it."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from support.fake_workers import FakeReactor

from wiredaemon.net.workers.process import WorkerProcess
from wiredaemon.net.workers.worker_state import TRANSITIONS, WorkerInput, WorkerState
from wiredaemon.protocol import LocalProtocolError
from wiredaemon.wire.limits import Limits

STARTING, IDLE, BUSY, ENDING, LOST = WorkerState
READY, RUN, ANSWERED, END, LOSE = WorkerInput

FOLLOWS = {
    (STARTING, READY): IDLE,
    (STARTING, ANSWERED): STARTING,
    (STARTING, END): ENDING,
    (STARTING, LOSE): LOST,
    (IDLE, RUN): BUSY,
    (IDLE, END): ENDING,
    (IDLE, LOSE): LOST,
    (BUSY, ANSWERED): IDLE,
    (BUSY, END): ENDING,
    (BUSY, LOSE): LOST,
    (ENDING, READY): ENDING,
    (ENDING, ANSWERED): ENDING,
    (ENDING, END): ENDING,
    (ENDING, LOSE): LOST,
    (LOST, ANSWERED): LOST,
}


@pytest.mark.parametrize(("state", "seen"), list(product(WorkerState, WorkerInput)))
def test_each_pair_leads_to_its_state_or_is_refused(state: WorkerState, seen: WorkerInput) -> None:
    owner: Any = None
    worker = WorkerProcess(FakeReactor(), Limits(), owner)
    worker.state = state
    if (state, seen) in FOLLOWS:
        assert worker.advance(seen) is FOLLOWS[state, seen]
        assert worker.state is FOLLOWS[state, seen]
    else:
        message = f"a worker cannot see {seen.name} while it is {state.name}"
        with pytest.raises(LocalProtocolError, match=f"^{message}$"):
            worker.advance(seen)
        assert worker.state is state


def test_the_table_has_no_other_pair() -> None:
    assert dict(TRANSITIONS) == FOLLOWS


def test_a_worker_that_is_lost_stays_lost() -> None:
    assert {after for (before, _), after in TRANSITIONS.items() if before is LOST} == {LOST}
