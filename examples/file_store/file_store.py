"""A store of files below one folder: uploads go on where they broke off.

    python file_store.py FOLDER tcp:8010:interface=127.0.0.1

An upload is kept under the SHA-256 of the whole file until all of it is there and has that sum.
Only then it gets its name, at once: nobody sees half a file.
"""

import argparse
import hashlib
import os
import re
import threading
from contextlib import contextmanager
from pathlib import Path

from twisted.internet import defer, task

from wiredaemon import Argument, ArgumentType, CommandError, Permission, Service, command

LARGEST = 1_000_000_000
"""Bytes of one file."""
MOST = 1000
"""Files, and as many uploads that have broken off."""
PIECE = 256 * 1024
"""Bytes that are read, or sent, at once."""
REPORTED = 4 * 1024 * 1024
"""Bytes of an upload between two reports of its progress."""

# No slash, and no dot in front: a name leads nowhere else.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}")
SUM = re.compile(r"[0-9a-f]{64}")

INT = Argument(type=ArgumentType.INT, default=0)
TEXT = Argument(type=ArgumentType.TEXT)


class FileStore:
    """All commands read or write files, so they block, and run in threads."""

    def __init__(self, folder):
        self._files = folder
        self._incoming = folder / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._busy, self._lock = set(), threading.Lock()

    @command("files", permission=Permission.RO, is_blocking=True)
    def files(self, _context):
        """Give a map of name, size, and time of the last change in seconds, for each file."""
        for file in sorted(self._named()):
            found = file.stat()
            yield {b"name": file.name, b"size": found.st_size, b"changed": int(found.st_mtime)}

    @command("get", permission=Permission.RO, arguments={"name": TEXT}, is_blocking=True)
    def get(self, _context, name):
        """Give a file in pieces: as it is now, also if it is replaced meanwhile."""
        with self._existing(name).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    @command("remove", permission=Permission.RW, arguments={"name": TEXT}, is_blocking=True)
    def remove(self, _context, name):
        """Remove a file."""
        self._existing(name).unlink()

    @command("received", permission=Permission.RO, arguments={"sha256": TEXT}, is_blocking=True)
    def received(self, _context, sha256):
        """Return how many bytes are here of an upload that has broken off."""
        file = self._upload(sha256)
        return file.stat().st_size if file.exists() else 0

    @command(
        "put",
        permission=Permission.RW,
        arguments={"name": TEXT, "sha256": TEXT, "start": INT},
        has_data=True,
        data_limit=LARGEST,
        is_blocking=True,
    )
    def put(self, context, name, sha256, start):
        """Take a file, or what is missing of it from some byte on, and return its size."""
        target, upload = self._path(name), self._upload(sha256)
        self._check_room(target, upload)
        with self._alone(sha256), upload.open("ab") as file:
            if start != file.tell():
                raise CommandError("%s bytes are here, not %s", [str(file.tell()), str(start)])
            # Whatever ends this loop early, what has come so far stays for the next attempt.
            for piece in context.data:
                if file.tell() + len(piece) > LARGEST:
                    raise CommandError("a file has at most %s bytes", [str(LARGEST)])
                before = file.tell()
                file.write(piece)
                if file.tell() // REPORTED > before // REPORTED:
                    context.progress("put", file.tell(), label="bytes", item=name)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            if sum_of(upload) != sha256:
                upload.unlink()
                raise CommandError("what has arrived is not what was sent: send it again")
            upload.replace(target)
        context.progress("put", size, label="bytes", item=name)
        return size

    def _named(self):
        return [file for file in self._files.iterdir() if NAME.fullmatch(file.name)]

    def _path(self, name):
        if not NAME.fullmatch(name):
            raise CommandError("%s cannot be the name of a file", [name])
        return self._files / name

    def _existing(self, name):
        file = self._path(name)
        if not file.is_file():
            raise CommandError("there is no file %s", [name])
        return file

    def _upload(self, sha256):
        if not SUM.fullmatch(sha256):
            raise CommandError("a SHA-256 has 64 digits from 0 to f")
        return self._incoming / sha256

    def _check_room(self, target, upload):
        if not target.exists() and len(self._named()) >= MOST:
            raise CommandError("there are %s files already", [str(MOST)])
        if not upload.exists() and len(list(self._incoming.iterdir())) >= MOST:
            raise CommandError("%s uploads have broken off: end one of them", [str(MOST)])

    @contextmanager
    def _alone(self, sha256):
        with self._lock:
            if sha256 in self._busy:
                raise CommandError("the same file is being uploaded")
            self._busy.add(sha256)
        try:
            yield
        finally:
            self._busy.discard(sha256)


def sum_of(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def main(reactor, folder, endpoint):
    # Everybody who can reach the endpoint may write, also without TLS.
    service = Service(allow_plain=True)
    service.add_object(FileStore(folder))
    listener = await service.listen(endpoint)
    print(f"storing files in {folder}, at {listener.url}", flush=True)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: defer.Deferred.fromCoroutine(service.stop(1))
    )
    await defer.Deferred()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A store of files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("endpoint", help="a server endpoint string of Twisted")
    chosen = parser.parse_args()
    task.react(
        lambda reactor: defer.Deferred.fromCoroutine(main(reactor, chosen.folder, chosen.endpoint))
    )
