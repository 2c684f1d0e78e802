"""Objects that the extensions ``lfs`` and ``largefiles`` keep beside a repository's history.

Both have a cache in the account's home that all its repositories share: a repository would give its
readers what another one holds, and take for uploaded what it never had. Here each has its own. And
what is damaged on the disk, which only the readers of some ways would notice, is missing in all.

Observed with Mercurial 7.2.4.
"""

from __future__ import annotations

import functools
import hashlib
import os
import posixpath
import re
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.worker.library import wireprototypes, wireprotov1server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wiredaemon.worker.library_types import Ui

_SOURCE: Final = b"wiredaemon"
_SHA_1: Final = re.compile(rb"[0-9a-f]{40}")
_SHA_256: Final = re.compile(rb"[0-9a-f]{64}")
_REMEMBERED: Final = 4096
"""Files whose contents are remembered to be whole, or not."""

_BASIC_TRANSFER: Final = 4
"""Components of the path of an object: ``.hg/lfs/objects/OID``."""


def keep_own(ui: Ui, path: bytes) -> None:
    """Give a repository that is going to be opened caches of its own, whatever its hgrc says.

    Args:
        ui: The configuration with which it is opened.
        path: Its working folder.
    """
    # The objects of lfs are in the store, and need no second place.
    ui.setconfig(b"experimental", b"lfs.disableusercache", b"true", _SOURCE)
    cache = posixpath.join(path, b".hg", b"cache", b"largefiles")
    ui.setconfig(b"largefiles", b"usercache", cache, _SOURCE)


def patch_loaded() -> None:
    """Patch the extensions that this process has loaded; a second time changes nothing."""
    for name, patch in _PATCHES.items():
        module: Any = sys.modules.get(name)
        if module is not None and not hasattr(module, "patched_by_wiredaemon"):
            module.patched_by_wiredaemon = True
            patch(module)
    # lfs loads the modules of largefiles, too, but not its commands.
    put = wireprotov1server.commands.get(b"putlfile")
    if put is not None and not hasattr(put.func, "__wrapped__"):
        put.func = _named(put.func)


def _patch_lfs(server: Any) -> None:  # noqa: ANN401 a module of the library
    server._processbasictransfer = _of_known(server._processbasictransfer)  # noqa: SLF001


def _patch_largefiles(lfutil: Any) -> None:  # noqa: ANN401 a module of the library
    lfutil.findfile = _whole(lfutil.findfile)


_PATCHES: Final[Mapping[str, Callable[[Any], None]]] = MappingProxyType(
    {
        "hgext.lfs.wireprotolfsserver": _patch_lfs,
        "hgext.largefiles.lfutil": _patch_largefiles,
    }
)
"""By the names under which Mercurial loads its own extensions."""


def _of_known(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Transfer an object of lfs; the original fails if it is missing, or its name is no hash."""

    @functools.wraps(original)
    def transfer(repository: Any, request: Any, response: Any, check: Any) -> object:  # noqa: ANN401
        name = request.dispatchparts[-1]
        is_name = _SHA_256.fullmatch(name) is not None
        store = repository.svfs.lfslocalblobstore
        is_known = is_name and (request.method != b"GET" or store.has(name))
        if is_known or len(request.dispatchparts) != _BASIC_TRANSFER:
            return original(repository, request, response, check)
        check(b"pull")
        response.status = b"404 The object does not exist"
        response.headers[b"Content-Type"] = b"text/plain; charset=utf-8"
        response.setbodybytes(b"The object does not exist\n")
        return True

    return transfer


def _whole(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Find a largefile; the original returns damaged ones, and takes any path for a name."""

    @functools.wraps(original)
    def findfile(repository: Any, name: bytes) -> bytes | None:  # noqa: ANN401 of the library
        if _SHA_1.fullmatch(name) is None:
            return None
        path: bytes | None = original(repository, name)
        if path is None:
            return None
        seen = Path(os.fsdecode(path)).stat()
        if _digest(path, (seen.st_ino, seen.st_size, seen.st_mtime_ns)) != name:
            sys.stderr.write(f"{os.fsdecode(path)}: the largefile is damaged, and not sent\n")
            return None
        return path

    return findfile


@functools.lru_cache(_REMEMBERED)
def _digest(path: bytes, _signature: tuple[int, int, int]) -> bytes:
    """Return the SHA-1 of a file as hexadecimal digits; computed once while it does not change."""
    with Path(os.fsdecode(path)).open("rb") as file:
        digest = hashlib.sha1(usedforsecurity=False)
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest().encode()


def _named(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Take a largefile; the original makes folders for a name that is a path."""

    @functools.wraps(original)
    def putlfile(repository: Any, protocol: Any, sha: bytes) -> object:  # noqa: ANN401 of the library
        if _SHA_1.fullmatch(sha) is None:
            return wireprototypes.pushres(1, b"the name of a largefile is no SHA-1\n")
        return original(repository, protocol, sha)

    return putlfile
