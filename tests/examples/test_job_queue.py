"""The queue runs two jobs at once, tells how far they are, and ends those that are cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.embedding import calling, reactor
from support.environment import ROOT, environment
from support.responding import ensure_deferred
from twisted.internet.threads import deferToThread

from examples.job_queue import job_queue
from wiredaemon import CommandError, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wiredaemon.client import Connection

LONG = 100_000_000
"""A job that does not end within a test."""


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Any, str]]:
    """A queue, and its URL; all its processes have ended behind it."""
    make: Any = job_queue.JobQueue  # an example has no annotations
    queue = make(reactor())
    service = Service(reactor=reactor(), allow_plain=True)
    service.add_object(queue)
    listener = await service.listen("tcp:0:interface=127.0.0.1")
    try:
        yield queue, listener.url
    finally:
        await queue.stop()
        await service.stop()


async def submit(connection: Connection, below: int) -> int:
    number = await connection.call("submit", {"below": below})
    assert isinstance(number, int)
    return number


async def states(connection: Connection) -> list[str]:
    return [one[b"state"].decode() async for one in connection.call("jobs")]


async def wait_until_it_runs(connection: Connection, job: int) -> None:
    """Wait for the first progress of a job: its process is at work."""
    async with connection.call("watch", {"job": job}) as watched:
        async for seen in watched:
            if seen[b"percent"]:
                return


def pid_of(queue: Any, job: int) -> int:
    pid = queue._jobs[job].transport.pid
    assert isinstance(pid, int)
    return pid


@ensure_deferred
async def test_a_watcher_sees_a_job_from_its_beginning_to_its_end() -> None:
    async with serving() as (_, url), calling(url) as connection:
        job = await submit(connection, 1000)
        seen: list[Any] = [one async for one in connection.call("watch", {"job": job})]
        assert [one[b"percent"] for one in seen] == sorted(one[b"percent"] for one in seen)
        assert {one[b"state"] for one in seen[:-1]} == {b"running"}
        last = {b"job": 1, b"below": 1000, b"state": b"done", b"percent": 100, b"primes": 168}
        assert seen[-1] == last
        # Whoever comes late sees how it has ended.
        assert [one async for one in connection.call("watch", {"job": job})] == [last]


@ensure_deferred
@pytest.mark.parametrize(("below", "primes"), [(0, 0), (1, 0), (2, 0), (3, 1), (100, 25)])
async def test_small_numbers_have_their_primes(below: int, primes: int) -> None:
    async with serving() as (_, url), calling(url) as connection:
        job = await submit(connection, below)
        *_, last = [one async for one in connection.call("watch", {"job": job})]
        assert last[b"primes"] == primes


@ensure_deferred
async def test_a_cancelled_job_ends_and_makes_room_for_one_that_waits() -> None:
    async with serving() as (queue, url), calling(url) as connection:
        jobs = [await submit(connection, LONG) for _ in range(4)]
        assert await states(connection) == ["running", "running", "waiting", "waiting"]
        await connection.call("cancel", {"job": jobs[3]})
        await wait_until_it_runs(connection, jobs[0])
        pid = pid_of(queue, jobs[0])
        await connection.call("cancel", {"job": jobs[0]})
        await wait_until_it_runs(connection, jobs[2])
        assert await states(connection) == ["cancelled", "running", "running", "cancelled"]
        # Its process has ended, and nobody is left to be waited for.
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        # What is over stays as it is.
        again: Any = await connection.call("cancel", {"job": jobs[0]})
        assert again[b"state"] == b"cancelled"


@ensure_deferred
async def test_a_job_whose_process_is_killed_has_failed() -> None:
    async with serving() as (queue, url), calling(url) as connection:
        job = await submit(connection, LONG)
        await wait_until_it_runs(connection, job)
        os.kill(pid_of(queue, job), signal.SIGKILL)
        *_, last = [one async for one in connection.call("watch", {"job": job})]
        assert last[b"state"] == b"failed"


@ensure_deferred
async def test_jobs_are_bounded_in_size_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_queue, "AT_ONCE", 1)
    monkeypatch.setattr(job_queue, "WAITING", 1)
    monkeypatch.setattr(job_queue, "KEPT", 2)
    async with serving() as (_, url), calling(url) as connection:
        for below in (-1, job_queue.LARGEST + 1):
            with pytest.raises(CommandError, match="a number from 0 to 100000000, please"):
                await submit(connection, below)
        first, second = await submit(connection, LONG), await submit(connection, LONG)
        with pytest.raises(CommandError, match="1 jobs are waiting: try again later"):
            await submit(connection, LONG)
        await connection.call("cancel", {"job": second})
        await submit(connection, LONG)
        # The one that was over is forgotten.
        with pytest.raises(CommandError, match=f"there is no job {second}"):
            await connection.call("cancel", {"job": second})
        assert await states(connection) == ["running", "waiting"]
        assert first == 1


@ensure_deferred
async def test_watchers_who_leave_are_forgotten() -> None:
    async with serving() as (queue, url), calling(url) as connection:
        for _ in range(3):
            await submit(connection, LONG)
        for _ in range(5):
            async with connection.call("watch", {"job": 3}) as watched:
                await anext(watched)
        await connection.call("cancel", {"job": 3})
        assert queue._jobs[3]._waiters == []


def interrupted(url: str) -> tuple[list[str], int]:
    """What the client prints that is interrupted when its job is submitted, and its status."""
    program = [sys.executable, str(ROOT / "examples" / "job_queue" / "run_job.py"), url, str(LONG)]
    with subprocess.Popen(
        program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        lines = [next(running.stdout)]
        running.send_signal(signal.SIGINT)
        lines += list(running.stdout)
    return lines, running.returncode


@ensure_deferred
async def test_a_client_that_is_interrupted_cancels_its_job() -> None:
    async with serving() as (_, url), calling(url) as connection:
        lines, status = await deferToThread(interrupted, url)
        assert lines == ["job 1 is submitted\n", "job 1 is cancelled\n"]
        assert status == 1
        assert await states(connection) == ["cancelled"]
