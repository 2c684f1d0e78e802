"""Stops single requests: what their clients have cancelled, and what has met its deadline.

Source: sessions, sections 2.1 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wiredaemon.net.responding.blocking_request import BlockingRequest
from wiredaemon.net.responding.states import RequestState

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.net.responding.responder import Responder


def stop_request(responder: Responder, request_id: int, answer: Callable[[int], None]) -> None:
    """Stop a request, wherever it is, and answer it.

    Its place is free at once. Only while a thread encodes an object of it the answer comes after
    that, because the encoder is that of the stream.

    The caller lets the others go on, once for all that it stops.

    Args:
        responder: The Responder of its connection.
        request_id: The id of a request that is not answered.
        answer: Sends its last frame.
    """
    request = responder.running.get(request_id)
    if request is None:
        data = responder.take_queued(request_id)
        if data is not None:
            data.close()
    elif request.state in {RequestState.ENCODING, RequestState.ABANDONED}:
        request.abandon(answer)
        return
    else:
        del responder.running[request_id]
        thread = request.leave_thread() if isinstance(request, BlockingRequest) else None
        request.cancel()
        if thread is not None:
            # The place is free, and the thread is not: without a count of these, one connection
            # would fill all threads with commands that it has cancelled.
            responder.stopping += 1
            thread.addBoth(lambda _: _on_returned(responder))
    if not responder.connection.output_ended:
        answer(request_id)


def _on_returned(responder: Responder) -> None:
    responder.stopping -= 1
    responder.progress()
