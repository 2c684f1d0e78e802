"""The tables of a connection's input, pair by pair; its behaviour is in test_responder.py."""

from __future__ import annotations

from itertools import product

import pytest

from wiredaemon.net.responding.connection_input import (
    MAY_READ,
    STAGES,
    Backlog,
    Stage,
    Step,
    advance,
)
from wiredaemon.net.responding.interfaces import Load
from wiredaemon.protocol import LocalProtocolError

EXPECTED = {
    (Stage.OPEN, Step.ASK): Stage.DECIDING,
    (Stage.OPEN, Step.PEER_ENDED): Stage.ENDING,
    (Stage.DECIDING, Step.DECIDED): Stage.OPEN,
    (Stage.DECIDING, Step.PEER_ENDED): Stage.DECIDING_LAST,
    (Stage.DECIDING_LAST, Step.DECIDED): Stage.ENDING,
    (Stage.ENDING, Step.ASK): Stage.DECIDING_LAST,
    (Stage.ENDING, Step.ALL_SEEN): Stage.ENDED,
}


@pytest.mark.parametrize(("stage", "step"), list(product(Stage, Step)))
def test_every_pair_of_stage_and_step_leads_on_or_is_refused(stage: Stage, step: Step) -> None:
    expected = EXPECTED.get((stage, step))
    if expected is not None:
        assert advance(stage, step) is expected
        return
    with pytest.raises(LocalProtocolError, match=f"{step.name} while {stage.name}"):
        advance(stage, step)


def test_nothing_follows_the_end_of_input() -> None:
    assert not [stage for stage, _ in STAGES if stage is Stage.ENDED]


def test_the_peer_is_read_from_only_where_nothing_waits_and_answers_are_taken() -> None:
    assert set(MAY_READ) == set(product(Backlog, Load))
    assert {pair for pair, may_read in MAY_READ.items() if may_read} == {
        (Backlog.NOTHING, Load.ANSWERING),
        (Backlog.NOTHING, Load.NEEDING_DATA),
    }
