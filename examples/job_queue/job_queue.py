"""A queue of jobs that take long: each runs in a process of its own, some at once.

    python job_queue.py tcp:8010:interface=127.0.0.1

A job is `primes.py` with a number; put what you have in its place. All is kept in memory: jobs end
with the queue. Cancelling one that runs ends its process.
"""

import sys
from collections import deque
from pathlib import Path

from twisted.internet import defer, error, protocol, task

from wiredaemon import Argument, ArgumentType, CommandError, Permission, Service, command

AT_ONCE = 2
"""Jobs that run at the same time."""
WAITING = 100
"""Jobs that wait for one of them to end."""
KEPT = 1000
"""Jobs that are known, the latest ones."""
LARGEST = 100_000_000
"""The largest number: a job of this size takes some 100 MB."""
TERM_SECONDS = 5
"""From asking a process to end until it is killed."""

PROGRAM = Path(__file__).with_name("primes.py")
INT = Argument(type=ArgumentType.INT)


class Job(protocol.ProcessProtocol):
    """One job, and the process that does it."""

    def __init__(self, reactor, number, below):
        self._reactor = reactor
        self._number = number
        self._below = below
        self._percent = 0
        self._primes = None
        self._output = b""
        self._killing = None
        self._waiters = []
        self.state = "waiting"
        self.changes = 0
        self.ended = defer.Deferred()

    @property
    def is_over(self):
        return self.state not in {"waiting", "running"}

    def describe(self):
        return {
            b"job": self._number,
            b"below": self._below,
            b"state": self.state,
            b"percent": self._percent,
            b"primes": self._primes,
        }

    def change(self, state=None):
        """Take a new state, and wake whoever watches."""
        self.state = state or self.state
        self.changes += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def changed(self):
        """Return a Deferred that fires at the next change."""
        waiter = defer.Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def start(self):
        self.change("running")
        words = [sys.executable, str(PROGRAM), str(self._below)]
        self._reactor.spawnProcess(self, words[0], words, env=None)

    def cancel(self):
        if self.state == "waiting":
            self.change("cancelled")
        elif self.state == "running":
            self.change("cancelled")
            self.transport.signalProcess("TERM")
            self._killing = self._reactor.callLater(TERM_SECONDS, self._kill)

    def _kill(self):
        self._killing = None
        self.transport.signalProcess("KILL")

    # --- called by Twisted -------------------------------------------------------------------

    def outReceived(self, data):
        *lines, self._output = (self._output + data).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"done":
                self._percent = int(number)
            elif word == b"primes":
                self._primes = int(number)
        if not self.is_over:
            self.change()

    def errReceived(self, data):
        sys.stderr.buffer.write(data)

    def processEnded(self, reason):
        if self._killing is not None:
            self._killing.cancel()
        if not self.is_over:
            self.change("done" if reason.check(error.ProcessDone) else "failed")
        self.ended.callback(self)


class JobQueue:
    """The jobs, those that run, and those that wait."""

    def __init__(self, reactor):
        self._reactor = reactor
        self._jobs = {}
        self._count = 0
        self._running = set()
        self._waiting = deque()

    @command("submit", permission=Permission.RW, arguments={"below": INT})
    def submit(self, _context, below):
        """Have the primes below a number counted, and return the number of the job."""
        if not 0 <= below <= LARGEST:
            raise CommandError("a number from 0 to %s, please", [str(LARGEST)])
        if len(self._waiting) >= WAITING:
            raise CommandError("%s jobs are waiting: try again later", [str(WAITING)])
        self._forget()
        self._count += 1
        job = self._jobs[self._count] = Job(self._reactor, self._count, below)
        self._waiting.append(job)
        self._start()
        return self._count

    @command("watch", permission=Permission.RO, arguments={"job": INT})
    async def watch(self, _context, job):
        """Give the job as it is, and again after each change, until it is over."""
        watched = self._known(job)
        while not watched.is_over:
            seen = watched.changes
            yield watched.describe()
            # A watcher who is slow misses changes, but never the last one.
            if watched.changes == seen:
                await watched.changed()
        yield watched.describe()

    @command("cancel", permission=Permission.RW, arguments={"job": INT})
    def cancel(self, _context, job):
        """Cancel a job, and return it: one that is over stays as it is."""
        cancelled = self._known(job)
        cancelled.cancel()
        if cancelled in self._waiting:
            self._waiting.remove(cancelled)
        return cancelled.describe()

    @command("jobs", permission=Permission.RO)
    def jobs(self, _context):
        """Give all jobs, the oldest first."""
        for job in list(self._jobs.values()):
            yield job.describe()

    def stop(self):
        """End all processes, and return a Deferred that fires when they have ended."""
        self._waiting.clear()
        for job in self._running:
            job.cancel()
        return defer.gatherResults([job.ended for job in self._running])

    def _known(self, number):
        if number not in self._jobs:
            raise CommandError("there is no job %s", [str(number)])
        return self._jobs[number]

    def _forget(self):
        over = [number for number, job in self._jobs.items() if job.is_over]
        for number in over[: max(0, len(self._jobs) - KEPT + 1)]:
            del self._jobs[number]

    def _start(self):
        while self._waiting and len(self._running) < AT_ONCE:
            job = self._waiting.popleft()
            self._running.add(job)
            # A job that was cancelled keeps its place until its process has ended.
            job.ended.addCallback(self._on_ended)
            job.start()

    def _on_ended(self, job):
        self._running.discard(job)
        self._start()


async def main(reactor, endpoint):
    queue = JobQueue(reactor)
    # Everybody who can reach the endpoint may submit and cancel, also without TLS.
    service = Service(allow_plain=True)
    service.add_object(queue)
    listener = await service.listen(endpoint)
    print("jobs are taken at", listener.url, flush=True)
    reactor.addSystemEventTrigger("before", "shutdown", queue.stop)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: defer.Deferred.fromCoroutine(service.stop(1))
    )
    await defer.Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: defer.Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
