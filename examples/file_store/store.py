"""The client of `file_store.py`: a script that puts files there, and gets them back.

    python store.py hgrpc://127.0.0.1:8010/ put FILE
    python store.py hgrpc://127.0.0.1:8010/ list
    python store.py hgrpc://127.0.0.1:8010/ get NAME
    python store.py hgrpc://127.0.0.1:8010/ remove NAME

An upload that has broken off goes on when it is put again.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

from wiredaemon import CommandError
from wiredaemon.client import ClientError, blocking

PIECE = 256 * 1024


class Stored:
    """An observer: prints each quarter of a file that the server has stored."""

    def __init__(self, size):
        self._size = size
        self._quarters = [25, 50, 75, 100]

    def receive_progress(self, progress):
        while self._quarters and self._quarters[0] * self._size <= progress.position * 100:
            print(self._quarters.pop(0), "% stored", flush=True)

    def receive_text(self, text):
        print(text.decode(), end="")


def put(connection, path):
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        start = connection.call("received", {"sha256": sha256}).result()
        if start:
            print("going on behind byte", start)
        file.seek(start)
        # Each piece is read when the one before has been sent.
        connection.call(
            "put",
            {"name": path.name, "sha256": sha256, "start": start},
            data=iter(lambda: file.read(PIECE), b""),
            observer=Stored(path.stat().st_size),
        ).result()


def get(connection, name):
    # Under its name there is never a part of it, nor when this ends early.
    part = Path(f"{name}.part")
    with part.open("wb") as file, connection.call("get", {"name": name}) as pieces:
        for piece in pieces:
            file.write(piece)
    part.replace(name)


def show(connection):
    for file in connection.call("files"):
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(file[b"changed"]))
        print(f"{file[b'size']:>13,}  {changed}  {file[b'name'].decode()}")


def read_arguments():
    parser = argparse.ArgumentParser(description="Puts files into a store, and gets them back.")
    parser.add_argument("url", help="the URL that the store prints")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("put", help="store a file").add_argument("file", type=Path)
    actions.add_parser("get", help="fetch a file into this folder").add_argument("name")
    actions.add_parser("remove", help="remove a file from the store").add_argument("name")
    actions.add_parser("list", help="list the files")
    return parser.parse_args()


def main():
    arguments = read_arguments()
    with blocking.connect(arguments.url) as connection:
        match arguments.action:
            case "put":
                put(connection, arguments.file)
            case "get":
                get(connection, arguments.name)
            case "remove":
                connection.call("remove", {"name": arguments.name}).result()
            case "list":
                show(connection)


if __name__ == "__main__":
    try:
        main()
    except (ClientError, CommandError, OSError) as error:
        sys.exit(f"store: {error}")
