"""A chat, and work that takes its time: the server of the `client_*.py` beside it.

    python chat_server.py tcp:8010:interface=127.0.0.1
    python chat_server.py --http tcp:8000:interface=127.0.0.1
    python chat_server.py --tls cert.pem key.pem tcp:8011:interface=127.0.0.1
    python chat_server.py unix:/run/user/1000/chat.sock

It prints the URL for clients, and what happens to its commands.
"""

import argparse
import hashlib
from pathlib import Path

from twisted.internet import defer, task

from wiredaemon import Argument, ArgumentType, Certificate, Permission, Service, command

MOST_UNHEARD = 1000
"""The most texts that wait for a listener who does not take them."""
REPORTED = 1024 * 1024
"""Bytes of an upload between two reports of its progress."""

INT = Argument(type=ArgumentType.INT)
TEXT = Argument(type=ArgumentType.TEXT)


class Chat:
    """Who listens hears what anybody says."""

    def __init__(self):
        self._listeners = set()

    # RO commands may be repeated by clients whose connection breaks: this one must not be.
    @command("say", permission=Permission.RW, arguments={"text": TEXT})
    def say(self, _context, text):
        """Say something to all who listen, and return how many they are."""
        for queue in self._listeners:
            if len(queue.pending) < MOST_UNHEARD:
                queue.put(text)
        return len(self._listeners)

    @command("listen", permission=Permission.RO)
    async def listen(self, _context):
        """Give what is said, from now on and without end."""
        queue = defer.DeferredQueue()
        self._listeners.add(queue)
        try:
            yield "you are listening"
            while True:
                yield await queue.get()
        finally:
            # Also when the client closes the call, or is gone.
            self._listeners.discard(queue)
            print("a listener has left", flush=True)


class Work:
    """Commands that take their time."""

    def __init__(self):
        self._sleeping = 0

    @command("upload", permission=Permission.RW, has_data=True)
    async def upload(self, context):
        """Return the size and the SHA-256 of the command data."""
        size, reported, found = 0, 0, hashlib.sha256()
        async for piece in context.data:
            size += len(piece)
            found.update(piece)
            if size - reported >= REPORTED:
                reported = size
                context.progress("upload", size, label="bytes")
        context.progress("upload", size, label="bytes")
        return {"size": size, "sha256": found.hexdigest()}

    @command("sleep", permission=Permission.RO, arguments={"seconds": INT})
    async def sleep(self, context, seconds):
        """Return after some seconds."""
        self._sleeping += 1
        try:
            await task.deferLater(context.reactor, seconds)
        finally:
            self._sleeping -= 1
            if context.cancelled:
                print("sleep was stopped", flush=True)
        return "good morning"

    @command("sleepers", permission=Permission.RO)
    def sleepers(self, _context):
        """Return how many sleep."""
        return self._sleeping

    @command("count_slowly", permission=Permission.RO, arguments={"to": INT})
    async def count_slowly(self, context, to):
        """Give the numbers below one, ten in a second."""
        try:
            for number in range(to):
                yield number
                await task.deferLater(context.reactor, 0.1)
        finally:
            if context.cancelled:
                print("count_slowly was stopped at", number, flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(description="A chat, and work that takes its time.")
    parser.add_argument("endpoint", help="a server endpoint string of Twisted")
    parser.add_argument("--http", action="store_true", help="speak HTTP; else frames alone")
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERTIFICATE", "KEY"))
    return parser.parse_args()


async def main(reactor, options):
    # Everybody who can reach the endpoint may speak, also without TLS.
    service = Service(allow_plain=True)
    service.add_object(Chat())
    service.add_object(Work())
    listen = service.listen_http if options.http else service.listen
    pair = options.tls and Certificate(certificate=options.tls[0], private_key=options.tls[1])
    listener = await listen(options.endpoint, certificate=pair)
    print("listening at", listener.url, flush=True)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: defer.Deferred.fromCoroutine(service.stop(1))
    )
    await defer.Deferred()


if __name__ == "__main__":
    chosen = read_arguments()
    task.react(lambda reactor: defer.Deferred.fromCoroutine(main(reactor, chosen)))
