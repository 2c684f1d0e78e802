"""What the three clients share: arguments, data to send, and an observer of progress."""

import argparse
import hashlib
from pathlib import Path

from wiredaemon.client import ClientOptions

PIECE = 1024 * 1024
MB = 1_000_000


def read_arguments():
    """Return the arguments of the program, and the options of its connection."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="https://, hgrpcs://, http://, hgrpc:// or unix:")
    parser.add_argument("--ca", type=Path, help="who vouches for the server, if not the system's")
    actions = parser.add_subparsers(dest="action", required=True)
    listening = actions.add_parser("listen", help="print what is said")
    listening.add_argument("texts", nargs="?", type=int, default=3, help="stop after so many")
    saying = actions.add_parser("say", help="say something")
    saying.add_argument("text")
    uploading = actions.add_parser("upload", help="send generated data")
    uploading.add_argument("megabytes", nargs="?", type=int, default=500)
    actions.add_parser("stop", help="stop one command, and let another one run out of time")
    arguments = parser.parse_args()
    return arguments, ClientOptions(authorities=arguments.ca)


class Percent:
    """Prints each tenth part of something that is done."""

    def __init__(self, size, text):
        self._size = size
        self._text = text
        self._next = 10

    def show(self, done):
        while self._next * self._size <= done * 100:
            print(self._next, self._text, flush=True)
            self._next += 10


class Upload:
    """Data that is made while it is sent: no more than a piece of it is in memory."""

    def __init__(self, size):
        self._size = size
        self._hash = hashlib.sha256()

    def __iter__(self):
        # The next piece is asked for when the one before was sent.
        sent, percent = 0, Percent(self._size, "% sent")
        while sent < self._size:
            piece = bytes([sent // PIECE % 251]) * min(PIECE, self._size - sent)
            self._hash.update(piece)
            yield piece
            sent += len(piece)
            percent.show(sent)

    def check(self, answer):
        """Compare what was sent with what the server has counted."""
        assert answer == {b"size": self._size, b"sha256": self._hash.hexdigest().encode()}
        print(f"all {self._size} bytes are there")


class Watcher:
    """An observer: prints what a command says beside its result."""

    def __init__(self, size):
        self._percent = Percent(size, "% at the server")

    def receive_text(self, text):
        print(text.decode(), end="")

    def receive_progress(self, progress):
        self._percent.show(progress.position)
