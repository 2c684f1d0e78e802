from __future__ import annotations

from wiredaemon.protocol import ConnectionFailed, RemoteProtocolError


def test_errors_of_the_peer_compare_by_what_they_say() -> None:
    one = RemoteProtocolError("text", malformed=True)
    assert one == RemoteProtocolError("text", malformed=True)
    assert hash(one) == hash(RemoteProtocolError("text", malformed=True))
    assert one != RemoteProtocolError("text")
    assert one != RemoteProtocolError("other", malformed=True)
    assert one != "text"
    assert ConnectionFailed(error=one) == ConnectionFailed(
        error=RemoteProtocolError("text", malformed=True)
    )
    assert repr(one) == "RemoteProtocolError('text', malformed=True)"
    assert str(one) == "text"
