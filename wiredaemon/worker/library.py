"""Imports Mercurial as an installed library, once and set up for a server.

Every other module of the worker takes from here what it needs of ``mercurial``, so that nothing
of it is imported before it is set up; only ``create``, a program of its own, names it too.
Importing it costs some 0.3 s and 40 MiB, so only the worker program may do so.

The library has no type annotations that mypy could use; ``library_types`` has them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

# Read while mercurial is imported: messages in English, text as UTF-8. What was set is kept aside.
os.environ["HGENCODING_GIVEN"] = os.environ.get("HGENCODING", "")
os.environ["HGPLAIN"] = "1"
os.environ["HGENCODING"] = "utf-8"

from mercurial import (
    archival,
    bookmarks,
    bundle2,
    changegroup,
    config,
    discovery,
    encoding,
    error,
    extensions,
    hg,
    initialization,
    lock,
    mdiff,
    node,
    phases,
    pycompat,
    revset,
    scmutil,
    streamclone,
    templatefilters,
    ui,
    urllibcompat,
    util,
    wireprotoserver,
    wireprototypes,
    wireprotov1server,
)
from mercurial import match as matching
from mercurial.configuration import rcutil
from mercurial.hgweb import request as hgweb_request
from mercurial.hgweb import webcommands, webutil
from mercurial.hgweb.hgweb_mod import hgweb
from mercurial.revlogutils import constants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wiredaemon.worker.library_types import Repository, Revlog

initialization.init()
# Needed from 7.2 on, before the first use of commands and hgweb.

# From here on HGPLAIN would leave out settings, such as aliases of revsets and templates, and hooks
# would see it. Nor does it matter what the shell had set that the daemon was started in.
_given = os.environ.pop("HGENCODING_GIVEN")
for _name in ("HGPLAIN", "HGPLAINEXCEPT", "HGENCODING"):
    os.environ.pop(_name, None)
if _given:
    os.environ["HGENCODING"] = _given

__all__ = [
    "added_text",
    "archival",
    "bookmarks",
    "bookmarks_of",
    "bundle2",
    "changegroup",
    "compression_engines",
    "config",
    "discovery",
    "encoding",
    "error",
    "extensions",
    "from_local",
    "has_swapped_parents",
    "hg",
    "hgweb",
    "hgweb_request",
    "is_censored",
    "is_plain",
    "lock",
    "matching",
    "mercurial_version",
    "node",
    "phase_name",
    "phases",
    "pycompat",
    "rcutil",
    "revset",
    "scmutil",
    "streamclone",
    "templatefilters",
    "to_local",
    "ui",
    "urllibcompat",
    "webcommands",
    "webutil",
    "wireprotoserver",
    "wireprototypes",
    "wireprotov1server",
]


compression_engines = util.compengines


def to_local(text: bytes) -> bytes:
    """Return text from the wire in local encoding: UTF-8, or ISO-8859-1 where it is not that.

    Source: commands, section 0 ("Text on the wire is UTF-8").
    """
    return bytes(encoding.tolocal(text))


def from_local(text: bytes) -> bytes:
    """Return text in local encoding as it was on the wire, in UTF-8."""
    return bytes(encoding.fromlocal(text))


def is_plain(flags: int) -> bool:
    """Return whether a revision's stored text is the one that was hashed: deltas may use it."""
    return not flags & ~constants.REVIDX_NEUTRAL_FLAGS


def is_censored(flags: int) -> bool:
    """Return whether the text of a revision was removed, and a tombstone is stored."""
    return bool(flags & constants.REVIDX_ISCENSORED)


def has_swapped_parents(revlog: Revlog, flags: int) -> bool:
    """Return whether a flag, not the order of parents, says if a file was copied."""
    # Only in a format that is still experimental.
    # Private, and the only place where the format says it.
    format_flags: int = getattr(revlog, "_format_flags", 0)
    return bool(format_flags & constants.FLAG_FILELOG_META and flags & constants.REVIDX_HASMETA)


def added_text(delta: bytes) -> bytes:
    """Return all that a delta adds, without what it keeps or removes."""
    return bytes(mdiff.patchtext(delta))


def bookmarks_of(repository: Repository) -> Iterator[tuple[bytes, bytes]]:
    """Return the bookmarks of a view without divergent ones: name in local encoding, node."""
    return cast("Iterator[tuple[bytes, bytes]]", bookmarks.listbinbookmarks(repository))


def phase_name(repository: Repository, revision: int) -> bytes:
    """Return ``public``, ``draft`` or ``secret``, as stored."""
    cache = repository._phasecache  # type: ignore[attr-defined]  # noqa: SLF001  a context takes six times as long
    return bytes(phases.phasenames[cache.phase(repository, revision)])


def mercurial_version() -> bytes:
    """Return the version of the installed library."""
    return bytes(util.version())
