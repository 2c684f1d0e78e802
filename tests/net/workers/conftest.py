"""Pools of workers that a test plays, on a clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.fake_workers import FakeReactor

from wiredaemon.net.workers.pool import WorkerPool
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from support.fake_workers import FakeWorker, Ready, Start


@pytest.fixture
def reactor() -> FakeReactor:
    return FakeReactor()


@pytest.fixture
def start(reactor: FakeReactor) -> Start:
    """Starts a pool under limits, by default with one worker, which is not ready."""

    def start_pool(**limits: Any) -> WorkerPool:
        pool = WorkerPool(reactor, Limits(**{"worker_least": 1, **limits}), command=["worker"])
        pool.start()
        return pool

    return start_pool


@pytest.fixture
def ready(reactor: FakeReactor, start: Start) -> Ready:
    """Starts a pool under limits; its first worker is ready."""

    def start_ready(**limits: Any) -> tuple[WorkerPool, FakeWorker]:
        pool = start(**limits)
        reactor.workers[-1].become_ready()
        return pool, reactor.workers[-1]

    return start_ready
