from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport

from wiredaemon.net.read_size import follow_read

if TYPE_CHECKING:
    from typing import Any


def test_full_reads_make_the_next_ones_larger_and_small_ones_the_usual_size() -> None:
    transport: Any = Server.__new__(Server)
    sizes = []
    for size in (0, 100, 32768, 20000, 262144, 20000, 16383, 16384, 65536):
        follow_read(transport, size)
        sizes.append(transport.bufferSize)
    assert sizes == [32768, 32768, 262144, 262144, 262144, 262144, 32768, 32768, 262144]


def test_other_transports_are_left_alone() -> None:
    transport: Any = StringTransport()
    follow_read(transport, 65536)
    assert not hasattr(transport, "bufferSize")
