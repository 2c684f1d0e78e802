"""The part of the key of kept clones that a worker knows, and whether clones may be kept at all.

The files of ``watched_paths`` say when such an answer is old. Here is the rest: the software, and
the configuration as it is in force, which a variable of the environment may change without any
file.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.repository.clone_bundles import ATTEMPT_COUNTS, StreamsFirst
from wiredaemon.worker import library
from wiredaemon.worker.watched_paths import PULL_BUNDLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.worker.library_types import Repository, Ui

SWITCH: Final = (b"wiredaemon", b"keep-clones")
"""Section and name of the repository's own switch; it is on where no file says otherwise."""

BUNDLE_SWITCH: Final = (b"wiredaemon", b"clone-bundles")
"""The switch of bundles alone; without kept clones there are none of them either."""

STREAMS_FIRST: Final = (b"wiredaemon", b"stream-bundles-first")
"""Which clones copy the store, which takes more bytes and less of all else: near, yes or no."""

_READERS_HOOKS: Final = frozenset((b"outgoing", b"preoutgoing", b"listkeys", b"prelistkeys"))
"""Hooks that run while a clone is answered; what is kept would run none of them."""


def clones_key(repository: Repository) -> bytes:
    """Return a digest of all but files that answers to clones depend on.

    It is empty where none may be kept.

    Raises:
        ConfigError: The switch is no boolean.
    """
    ui = repository.ui
    is_on = ui.configbool(*SWITCH, default=True, untrusted=True)
    if not is_on or _has_hooks(ui) or _has_bundles(repository):
        return b""
    digest = hashlib.sha256()
    for part in _parts(ui):
        digest.update(b"%d:%s" % (len(part), part))
    is_refused = ui.configbool(b"server", b"disablefullbundle")
    return digest.hexdigest().encode() + (ATTEMPT_COUNTS if is_refused else b"")


def bundle_switch(ui: Ui) -> bool:
    """Return whether bundles may be made of the repository.

    Raises:
        ConfigError: The switch is no boolean.
    """
    return ui.configbool(*BUNDLE_SWITCH, default=True, untrusted=True)


def streams_first(ui: Ui) -> StreamsFirst:
    """Return which clients are to take a copy of the store though they have asked for none.

    Raises:
        ConfigError: The switch is neither ``near`` nor a boolean.
    """
    value = ui.config(*STREAMS_FIRST, untrusted=True)
    if value is None or value.strip().lower() == StreamsFirst.NEAR.value:
        return StreamsFirst.NEAR
    try:
        is_on = ui.configbool(*STREAMS_FIRST, untrusted=True)
    except library.error.ConfigError as failure:
        name = b".".join(STREAMS_FIRST)
        message = b"%s is neither near nor a boolean ('%s')" % (name, value)
        raise library.error.ConfigError(message) from failure
    return StreamsFirst.YES if is_on else StreamsFirst.NO


def depends_on_user(ui: Ui) -> bool:
    """Return whether two users may be answered differently: some extension might do that."""
    return any(True for _ in library.extensions.extensions(ui))


def _has_hooks(ui: Ui) -> bool:
    return any(
        value and name.partition(b".")[0] in _READERS_HOOKS
        for name, value in ui.configitems(b"hooks")
    )


def _has_bundles(repository: Repository) -> bool:
    """Return whether pulls may be answered with bundles: they are files, which nobody watches."""
    manifest = os.fsdecode(posixpath.join(repository.path, PULL_BUNDLES))
    return Path(manifest).exists() and repository.ui.configbool(b"server", b"pullbundle")


def _parts(ui: Ui) -> Iterator[bytes]:
    yield library.mercurial_version()
    yield sys.version.encode()
    for name, module in sorted(library.extensions.extensions(ui), key=_name_of):
        yield from (bytes(name), _version_of(module))
    for section, name, value in sorted(ui.walkconfig(untrusted=True)):
        yield from (section, name, _setting(value))


def _setting(value: object) -> bytes:
    """Return a setting in bytes; extensions set functions, as hooks, and other values too."""
    if isinstance(value, bytes):
        return value
    if callable(value):
        # Not its repr, which shows an address: each worker has another one.
        value = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    return b"" if value is None else str(value).encode()


def _name_of(extension: tuple[bytes, object]) -> bytes:
    return extension[0]


def _version_of(module: Any) -> bytes:  # noqa: ANN401 any module
    """Return the version that an extension says, and the time at which its file was changed."""
    path = getattr(module, "__file__", None)
    try:
        changed = os.stat(path).st_mtime_ns if path else 0  # noqa: PTH116 the same
    except OSError:
        changed = 0
    return b"%s %d" % (bytes(library.extensions.moduleversion(module)), changed)
