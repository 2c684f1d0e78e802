"""The repository that rows of `benchmarks.attacks` need, and how a daemon serves it."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from typing import TYPE_CHECKING, Final

import bcrypt

from tools.generated import generate
from tools.long_history import PATH, lengthen

if TYPE_CHECKING:
    from pathlib import Path

CHANGESETS: Final = 3000
LONG_HISTORY: Final = 1500
"""Changesets of the file at `LONG_PATH`, which has as many lines."""
LONG_PATH: Final = PATH
AUTHORIZATION: Final = b"Basic " + b64encode(b"pusher:not a secret")
"""The header's value of the one user who may push."""
_CHEAP: Final = 4
"""The cost of the password's hash: logins are not what is attacked here."""


class Repositories:
    """A generated repository, and a copy of it for each daemon.

    Args:
        folder: The folder for all of them, which must not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def settings(self) -> str:
        """Return the tables of a configuration that serve one for everybody to read."""
        original = self._folder / "0"
        if not self._made:
            self._folder.mkdir()
            generate(original, changesets=CHANGESETS)
            lengthen(original, changesets=LONG_HISTORY)
            (original / ".hg" / "hgrc").write_text("[web]\nallow-archive = gz, zip\n", "ascii")
            hashed = bcrypt.hashpw(b"not a secret", bcrypt.gensalt(_CHEAP))
            (self._folder / "htpasswd").write_bytes(b"pusher:" + hashed + b"\n")
        self._made += 1
        served = self._folder / str(self._made)
        shutil.copytree(original, served)
        return "\n".join(
            [
                "[web]",
                # Passwords are accepted from this machine and from proxies on it.
                'push_ssl = false\nallow-push = ["pusher"]',
                "[auth]",
                f"htpasswd = {json.dumps(str(self._folder / 'htpasswd'))}",
                "[paths]",
                f'"/" = {json.dumps(str(served))}',
            ]
        )
