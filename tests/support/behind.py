"""A daemon with users that is reached through a proxy, and a push to it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from support.accounts import write_htpasswd
from support.configuration import ANY_PORT
from support.hg import HG7, Hg
from support.repositories import make_repository, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

_HGRC: Final = """\
[hooks]
changegroup = echo pushed by=$REMOTE_USER from=$HG_URL
[web]
allow-push = ann
"""
LARGE: Final = 3_000_000
"""Bytes of a file that does not become smaller: its push is far larger than what is drained."""


def start(
    folder: Path,
    *,
    trusted: str = "",
    haproxy: bool = False,
    certificate: Path | None = None,
    limits: str = "",
) -> Served:
    """Start a daemon with the user ann, who may push to its repository ``team``.

    Args:
        folder: For its files; it exists.
        trusted: The address of the proxy, if its headers count.
        haproxy: Each connection begins with a PROXY header.
        certificate: Folder of `write_certificate`, for HTTPS.
        limits: Lines of ``[limits]``.
    """
    repository = make_repository(folder / "team")
    write_hgrc(repository, _HGRC)
    file = write_htpasswd(folder / "htpasswd", ann="secret")
    tables = f"[auth]\nhtpasswd = {json.dumps(str(file))}\n[limits]\n{limits}\n"
    if trusted:
        tables += f'[proxy]\ntrusted = ["{trusted}"]\nuser_header = "X-Remote-User"\n'
    endpoint = f"haproxy:{ANY_PORT}" if haproxy else ANY_PORT
    return Served.start(
        {"team": repository}, folder, certificate=certificate, tables=tables, endpoint=endpoint
    )


def new_work(hg: Hg, served: Served, folder: Path, *, size: int = LARGE) -> Path:
    """Clone from the disk, commit a file of so many bytes, and return the clone."""
    clone = folder / "clone"
    hg.run("clone", str(served.folders["team"]), str(clone), folder=folder)
    (clone / "new").write_bytes(os.urandom(size))
    hg.run("commit", "--addremove", "-m", "new", "-u", "ann", folder=clone)
    return clone


def push(hg: Hg, served: Served, clone: Path, url: str, *options: str) -> str:
    """Push what is new, and return what the client prints.

    Raises:
        AssertionError: The repository does not have it afterwards.
        HgError: The client ended with an error.
    """
    printed = hg.text("push", *options, "--force", url, folder=clone)
    assert hg.nodes(".", folder=clone)[0] in HG7.nodes("all()", folder=served.folders["team"])
    return printed


def push_and_clone(hg: Hg, served: Served, folder: Path, url: str, *options: str) -> str:
    """Push to a URL, clone from it, verify the clone, and return what the push has printed."""
    printed = push(hg, served, new_work(hg, served, folder), url, *options)
    hg.run("clone", *options, url, "again", folder=folder)
    hg.verify(folder / "again")
    return printed
