"""The table of a running request, pair by pair; its behaviour is in test_responder.py."""

from __future__ import annotations

from itertools import product

import pytest

from wiredaemon.net.responding.running_request import RequestState, RequestStep, advance
from wiredaemon.protocol import LocalProtocolError

S, I = RequestState, RequestStep  # noqa: E741 beside each other in the table

EXPECTED: dict[tuple[RequestState, RequestStep], RequestState] = {
    (S.RUNNING, I.WAIT): S.WAITING,
    (S.RUNNING, I.STALL): S.STALLED,
    (S.RUNNING, I.YIELD): S.YIELDED,
    (S.RUNNING, I.ENCODE): S.ENCODING,
    (S.WAITING, I.GO_ON): S.RUNNING,
    (S.STALLED, I.GO_ON): S.RUNNING,
    (S.YIELDED, I.GO_ON): S.RUNNING,
    (S.ENCODING, I.GO_ON): S.RUNNING,
    **{(state, I.END): S.ENDED for state in S if state is not S.ENDED},
}


@pytest.mark.parametrize(("state", "step"), list(product(RequestState, RequestStep)))
def test_every_pair_of_state_and_step_leads_on_or_is_refused(
    state: RequestState, step: RequestStep
) -> None:
    expected = EXPECTED.get((state, step))
    if expected is not None:
        assert advance(state, step) is expected
        return
    with pytest.raises(LocalProtocolError, match=f"{step.name} while {state.name}"):
        advance(state, step)
