"""The daemon's memory behind a burst, measured in this process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.fake_workers import FakeReactor

from wiredaemon.net.workers.memory_watch import CHECK_SECONDS, MemoryWatch
from wiredaemon.net.workers.resident_memory import ResidentMemory
from wiredaemon.repository.returned_memory import return_memory

MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc returns memory")


class Burst:
    """Memory that stays with the C library when it is freed: what lies behind it is in use."""

    def __init__(self, size: int) -> None:
        pieces = [bytes(100_000) for _ in range(size // 100_000)]
        self._kept = pieces[::100] + pieces[-1:]
        del pieces


def resident() -> int:
    memory = ResidentMemory(os.getpid())
    try:
        return memory.read()
    finally:
        memory.close()


def test_memory_is_returned_behind_a_burst_and_not_in_it() -> None:
    clock = FakeReactor()
    watch = MemoryWatch(clock)
    watch.start()
    # Else the burst would fill what earlier tests have left.
    return_memory()
    before = resident()
    burst = Burst(256 * MIB)
    after = resident()
    assert after > before + 128 * MIB, "the burst has not left anything to return"
    # The first look sees growth, the second none.
    clock.advance(CHECK_SECONDS)
    assert resident() > before + 128 * MIB
    clock.advance(CHECK_SECONDS)
    assert resident() < before + 32 * MIB
    watch.stop()
    assert not clock.getDelayedCalls()
    del burst


def test_memory_that_was_in_use_at_first_is_returned_when_it_is_free() -> None:
    clock = FakeReactor()
    watch = MemoryWatch(clock)
    return_memory()
    watch.start()
    before = resident()
    in_use = [b"x" * 100_000 for _ in range(1280)]
    for _ in range(8):
        clock.advance(CHECK_SECONDS)
    assert resident() > before + 100 * MIB
    burst, in_use = in_use[::100] + in_use[-1:], []
    assert resident() > before + 100 * MIB, "the burst has not left anything to return"
    for _ in range(32):
        clock.advance(CHECK_SECONDS)
    assert resident() < before + 32 * MIB
    watch.stop()
    del burst, in_use


def test_a_watch_that_was_stopped_looks_no_more() -> None:
    clock = FakeReactor()
    watch = MemoryWatch(clock)
    watch.stop()
    watch.start()
    watch.stop()
    watch.stop()
    assert not clock.getDelayedCalls()


def test_what_is_freed_later_is_returned_later() -> None:
    clock = FakeReactor()
    return_memory()
    watch = MemoryWatch(clock)
    watch.start()
    before = resident()
    held = [bytes(100_000) for _ in range(2560)]
    clock.advance(CHECK_SECONDS)
    clock.advance(CHECK_SECONDS)
    assert resident() > before + 128 * MIB
    kept = held[::100] + held[-1:]
    held.clear()
    for _ in range(4):
        clock.advance(CHECK_SECONDS)
    assert resident() < before + 64 * MIB
    watch.stop()
    del kept


LARGE = """
import os
from wiredaemon.net.workers.resident_memory import ResidentMemory
from wiredaemon.repository.returned_memory import set_up_memory
{call}
memory = ResidentMemory(os.getpid())
bytearray(16_000_000)  # once it is freed, glibc maps no block of this size any more
before = memory.read()
blocks, kept = [], []
for _ in range(20):
    blocks.append(bytearray(b"x") * 4_000_000)
    kept.append(bytes(2000))
blocks.clear()
print(memory.read() - before)
"""
"""Large blocks are freed, and what was made behind each of them is in use."""


@pytest.mark.parametrize("maps", [False, True])
def test_large_blocks_leave_no_holes(maps: bool) -> None:  # noqa: FBT001 a parameter
    program = LARGE.format(call="set_up_memory()" if maps else "")
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    left = int(done.stdout)
    assert left < 8 * MIB if maps else left > 64 * MIB, left
