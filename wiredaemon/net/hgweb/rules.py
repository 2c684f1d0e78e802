"""Decides on the permission of a request for version 1 or a page, by its head alone.

Mercurial's web application runs the request with the permission granted here: the worker sets
Mercurial's own access settings to exactly that.

Source: http, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import Permission
from wiredaemon.net.hosting.access import Denial, authorize, authorize_reading
from wiredaemon.net.http.responses import denied_page, denied_version1, not_allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands import Peer
    from wiredaemon.net.hosting.host import Settings
    from wiredaemon.net.http.responses import HttpResponse

_BATCH: Final = b"batch"
_PUSH: Final = b"push"
_NOT_POSTED: Final = Denial(405, b"push requires POST request")
_READING: Final = (b"GET", b"HEAD")
KNOWN: Final = (*_READING, b"POST")
"""The methods of commands, and of pages of Mercurial's own."""
_OF_EXTENSIONS: Final = (*KNOWN, b"PUT")

_PAGES: Final = frozenset(
    {
        *(b"", b"annotate", b"archive", b"bookmarks", b"branches", b"changelog", b"changeset"),
        *(b"comparison", b"diff", b"file", b"filediff", b"filelog", b"graph", b"help", b"log"),
        *(b"manifest", b"rawfile", b"rev", b"shortlog", b"static", b"summary", b"tags"),
    }
)
"""Mercurial's own pages, which take no body; those of extensions may."""

BUNDLES: Final = (b".hg", b"clonebundles")
"""The folder of bundles, after a repository's path."""
_OBJECTS: Final = (b".hg", b"lfs", b"objects")
_OBJECT_BATCH: Final = (b".git", b"info", b"lfs", b"objects", b"batch")

_SHORT: Final = frozenset(
    {
        *(b"between", b"branches", b"branchmap", b"clonebundles", b"heads", b"hello"),
        *(b"known", b"listkeys", b"lookup", b"protocaps"),
    }
)
"""Commands of version 1 that take milliseconds, with the arguments that a head has room for.

A batch may have thousands of commands, and is none of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HgwebHead:
    """The head of a request for version 1 or a page."""

    method: bytes
    command: bytes | None
    """The version 1 command in the query; None for a page."""
    rest: tuple[bytes, ...] = ()
    """The components of the path after the repository's."""

    @property
    def is_of_mercurial(self) -> bool:
        """The request is for one of Mercurial's own pages, perhaps in a style: ``raw-file``."""
        name = self.rest[0].rpartition(b"-")[2] if self.rest else b""
        return (name if self.command is None else self.command) in _PAGES

    @property
    def is_of_lfs(self) -> bool:
        """The request is for objects of ``lfs``, a page that may need more than reading."""
        return self.rest[:3] == _OBJECTS or self.rest == _OBJECT_BATCH

    @property
    def is_of_bundles(self) -> bool:
        """The request is for a bundle, which is a clone."""
        return self.rest[:2] == BUNDLES and self.command is None


def is_short(head: HgwebHead) -> bool:
    """Return whether a request without a body takes little time, and answers with little."""
    return head.command in _SHORT and head.method in _READING


def refusal_inside(settings: Settings, peer: Peer) -> HttpResponse | None:
    """Return the response where a request that may only read writes all the same, as a batch may.

    It is that of a push, so that a client is asked for a login, or for TLS, where that would help.
    """
    denial = authorize(settings.access, Permission.RW, peer)
    return None if denial is None else denied_version1(denial)


def check_head(head: HgwebHead, settings: Settings, peer: Peer) -> HttpResponse | Permission:
    """Return the permission that the request runs with, or the response that refuses it."""
    needs = None if head.command is None else settings.version1.get(head.command)
    refusal = _refusal(head, needs, settings, peer)
    if refusal is not None:
        return refusal
    if needs == _PUSH:
        return Permission.RW
    # A batch may contain a push command, and pages of extensions may write: Mercurial checks both
    # again, by the permission that is granted here.
    may_write = head.method not in _READING and (needs is None or head.command == _BATCH)
    if may_write and authorize(settings.access, Permission.RW, peer) is None:
        return Permission.RW
    return Permission.RO


def _methods(head: HgwebHead, needs: bytes | None) -> Sequence[bytes]:
    if head.is_of_bundles:
        return _READING
    return KNOWN if needs is not None or head.is_of_mercurial else _OF_EXTENSIONS


def _refusal(
    head: HgwebHead, needs: bytes | None, settings: Settings, peer: Peer
) -> HttpResponse | None:
    """Return the response that refuses a request.

    Args:
        head: Its head.
        needs: What its command needs; None for a page.
        settings: The repository's.
        peer: Who asks.
    """
    # Reading first, for pushes as well: hgweb's order, and its texts follow from it (http, section
    # 5).
    denial = authorize_reading(settings.access, peer)
    is_file = head.method == b"PUT" or head.is_of_lfs or head.is_of_bundles
    methods = _methods(head, needs)
    if needs is not None and denial is None:
        permission = Permission.RW if needs == _PUSH else Permission.RO
        if permission is Permission.RW and head.method != b"POST":
            return replace(denied_version1(_NOT_POSTED), headers=((b"Allow", b"POST"),))
        denial = authorize(settings.access, permission, peer)
    elif denial is None and head.method in methods and is_file:
        # Only extensions have pages that take a PUT: objects of lfs are pushed so.
        permission = Permission.RW if head.method == b"PUT" else Permission.RO
        denial = authorize(settings.access, permission, peer)
    if denial is not None:
        is_page = needs is None and not is_file
        return denied_page(denial) if is_page else denied_version1(denial)
    return None if head.method in methods else not_allowed(head.method, methods)
