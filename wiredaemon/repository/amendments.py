"""What is amended in Mercurial as a library, because its web application has no other place for it.

Done by ``amend``, once ``web`` is imported: in the worker program and for nobody else. Each of them
says what the original does, observed with 7.2.4.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mercurial import error, scmutil, urllibcompat, wireprototypes, wireprotov1server
from mercurial.hgweb import webutil

from wiredaemon.repository import values
from wiredaemon.repository.failures import Refusal

if TYPE_CHECKING:
    from wiredaemon.repository.library import Repository


def amend() -> None:
    """Do all of it; a second time changes nothing."""
    scmutil._filterederror = _unknown  # noqa: SLF001 made for being replaced, says its docstring
    if not hasattr(scmutil.revsymbol, "__wrapped__"):
        scmutil.revsymbol = _committed(scmutil.revsymbol)
        webutil.filectx = _of_changeset(webutil.filectx)
    wireprotov1server.commands[b"lookup"].func = _lookup
    urllibcompat.urlreq.parseqs = parse_arguments
    urllibcompat.urlreq.parseqsl = _parse_list


def _unknown(_repository: Repository, name: bytes) -> Exception:
    """The error for a revision that exists and is not served: as for one that does not exist.

    The original says that it is filtered, to anybody who names it or its number.
    """
    unknown: Exception = error.RepoLookupError(b"unknown revision '%s'" % name)
    return unknown


def _committed(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Look up a revision by name; whatever is wrong with that, it is unknown.

    The original gives the server's working directory for 40 (or a few) ``f``, and with it its
    files, committed or not; and it fails in several ways.
    """

    @functools.wraps(original)
    def revsymbol(repository: Any, symbol: bytes) -> Any:  # noqa: ANN401 of the library
        try:
            found = original(repository, symbol)
        except error.AmbiguousPrefixLookupError:
            raise
        except (error.RepoLookupError, error.LookupError, error.RevlogError, IndexError):
            raise _unknown(repository, symbol) from None
        if found.rev() is None:
            raise _unknown(repository, symbol)
        return found

    return revsymbol


def _of_changeset(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Give the file that a page is about, named by a changeset.

    The original also takes the node of a file's revision, whoever introduced it.
    """

    @functools.wraps(original)
    def filectx(repository: Any, request: Any) -> Any:  # noqa: ANN401 of the library
        named = request.qsparams.get(b"node") or request.qsparams.get(b"filenode")
        if named:
            scmutil.revsymbol(repository, named)
        return original(repository, request)

    return filectx


def _lookup(repository: Repository, _protocol: object, key: bytes) -> object:
    """Version 1's ``lookup``: the original shows the text of whatever goes wrong."""
    try:
        said = b"1 %s\n" % values.lookup(repository, key).hex().encode()
    except Refusal as refusal:
        said = b"0 %s\n" % refusal.text
    return wireprototypes.bytesresponse(said)


def parse_arguments(query: bytes, *, keep_blank_values: bool = False) -> dict[bytes, list[bytes]]:
    """Read the arguments of a query, by name.

    The library's own takes them for ASCII, and fails for others.
    """
    read: dict[bytes, list[bytes]] = {}
    for name, value in _parse_list(query, keep_blank_values=keep_blank_values):
        read.setdefault(name, []).append(value)
    return read


def _parse_list(query: bytes, *, keep_blank_values: bool = False) -> list[tuple[bytes, bytes]]:
    read = parse_qsl(
        query.decode("latin-1"), keep_blank_values=keep_blank_values, encoding="latin-1"
    )
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in read]
