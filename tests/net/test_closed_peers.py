"""What the system says of peers on this machine that send nothing more."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from wiredaemon.net.closed_peers import has_closed, probe

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_NETLINK"), reason="only Linux can be asked for sockets"
)


def connected(host: str) -> tuple[socket.socket, socket.socket]:
    """Return our end and the peer's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"there is no {host}")
    with closing(listening):
        peer = socket.create_connection(listening.getsockname()[:2])
        return listening.accept()[0], peer


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_closes_the_sending_side_has_not_closed_the_other_one(host: str) -> None:
    ours, peer = connected(host)
    with ours, peer:
        assert not has_closed(ours)
        peer.shutdown(socket.SHUT_WR)
        assert not has_closed(ours)
        probe(ours)
        ours.sendall(b"an answer")
        assert peer.recv(100) == b"an answer"
        peer.close()
        assert has_closed(ours)


def test_of_other_transports_nothing_is_known() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.close()
        for handle in (ours, None, object()):
            probe(handle)
            assert not has_closed(handle)
    lost, peer = connected("127.0.0.1")
    peer.close()
    lost.close()
    assert not has_closed(lost)


def test_a_dual_socket_is_asked_for_as_well() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        peer = socket.create_connection(("127.0.0.1", listening.getsockname()[1]))
        ours = listening.accept()[0]
        with ours, peer:
            assert not has_closed(ours)
            peer.close()
            assert has_closed(ours)
