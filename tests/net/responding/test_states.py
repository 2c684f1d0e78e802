"""The tables of inputs and running requests, pair by pair; behaviour is in test_responder.py."""

from __future__ import annotations

from itertools import product

import pytest

from wiredaemon.net.responding.interfaces import Load
from wiredaemon.net.responding.states import (
    MAY_READ,
    STAGES,
    Backlog,
    InputStage,
    InputStep,
    RequestState,
    RequestStep,
    advance_input,
    advance_request,
)
from wiredaemon.protocol import LocalProtocolError

EXPECTED = {
    (InputStage.OPEN, InputStep.ASK): InputStage.DECIDING,
    (InputStage.OPEN, InputStep.PEER_ENDED): InputStage.ENDING,
    (InputStage.DECIDING, InputStep.DECIDED): InputStage.OPEN,
    (InputStage.DECIDING, InputStep.PEER_ENDED): InputStage.DECIDING_LAST,
    (InputStage.DECIDING_LAST, InputStep.DECIDED): InputStage.ENDING,
    (InputStage.ENDING, InputStep.ASK): InputStage.DECIDING_LAST,
    (InputStage.ENDING, InputStep.ALL_SEEN): InputStage.ENDED,
}


@pytest.mark.parametrize(("stage", "step"), list(product(InputStage, InputStep)))
def test_every_pair_of_an_inputs_stage_and_step_leads_on_or_is_refused(
    stage: InputStage, step: InputStep
) -> None:
    expected = EXPECTED.get((stage, step))
    if expected is not None:
        assert advance_input(stage, step) is expected
        return
    with pytest.raises(LocalProtocolError, match=f"{step.name} while {stage.name}"):
        advance_input(stage, step)


def test_nothing_follows_the_end_of_input() -> None:
    assert not [stage for stage, _ in STAGES if stage is InputStage.ENDED]


def test_the_peer_is_read_from_only_where_nothing_waits_and_answers_are_taken() -> None:
    assert set(MAY_READ) == set(product(Backlog, Load))
    assert {pair for pair, may_read in MAY_READ.items() if may_read} == {
        (Backlog.NOTHING, Load.ANSWERING),
        (Backlog.NOTHING, Load.NEEDING_DATA),
    }


S, I = RequestState, RequestStep  # noqa: E741 beside each other in the table

EXPECTED_OF_REQUESTS: dict[tuple[RequestState, RequestStep], RequestState] = {
    (S.RUNNING, I.WAIT): S.WAITING,
    (S.RUNNING, I.STALL): S.STALLED,
    (S.RUNNING, I.YIELD): S.YIELDED,
    (S.RUNNING, I.ENCODE): S.ENCODING,
    (S.WAITING, I.GO_ON): S.RUNNING,
    (S.STALLED, I.GO_ON): S.RUNNING,
    (S.YIELDED, I.GO_ON): S.RUNNING,
    (S.ENCODING, I.GO_ON): S.RUNNING,
    (S.ENCODING, I.ABANDON): S.ABANDONED,
    **{(state, I.END): S.ENDED for state in S if state is not S.ENDED},
}


@pytest.mark.parametrize(("state", "step"), list(product(RequestState, RequestStep)))
def test_every_pair_of_a_requests_state_and_step_leads_on_or_is_refused(
    state: RequestState, step: RequestStep
) -> None:
    expected = EXPECTED_OF_REQUESTS.get((state, step))
    if expected is not None:
        assert advance_request(state, step) is expected
        return
    with pytest.raises(LocalProtocolError, match=f"{step.name} while {state.name}"):
        advance_request(state, step)
