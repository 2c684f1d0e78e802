"""Patches of Mercurial as a library, because its web application has no other place for them.

The worker program applies them once, before its first command; importing this module changes
nothing. Each patch says what the original does, observed with 7.2.4.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wiredaemon.worker import values
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.library import (
    error,
    node,
    phases,
    pycompat,
    revset,
    scmutil,
    urllibcompat,
    webcommands,
    webutil,
    wireprototypes,
    wireprotov1server,
)
from wiredaemon.worker.odd_names import patch_names
from wiredaemon.worker.search_patterns import patch_patterns

if TYPE_CHECKING:
    from wiredaemon.worker.library_types import Repository


def apply_patches() -> None:
    """Apply all patches to the library in this process; a second time changes nothing."""
    # `functools.wraps` leaves the mark; a second patch around the first would work, and cost every
    # look-up twice.
    if hasattr(scmutil.revsymbol, "__wrapped__"):
        return
    _patch_revisions()
    patch_names()
    _patch_searches()
    _patch_pages()
    _patch_version_1()
    phases.hassecret = _has_unserved
    urllibcompat.urlreq.parseqs = parse_arguments
    urllibcompat.urlreq.parseqsl = _parse_list


def _patch_revisions() -> None:
    """Let names of revisions find what is served, and be unknown otherwise."""
    scmutil._filterederror = _unknown  # noqa: SLF001 made for being replaced, says its docstring
    scmutil.revsymbol = _committed(scmutil.revsymbol)


def _patch_searches() -> None:
    """Let searches find changesets, and never the server's working directory."""
    for name in (b"id", b"rev", b"_rev"):
        revset.symbols[name] = _without_working_directory(revset.symbols[name])
    # The names that a search may use.
    revset.safesymbols.discard(b"wdir")
    patch_patterns()


def _patch_pages() -> None:
    """Let pages for people show served changesets only."""
    webutil.filectx = _of_changeset(webutil.filectx)
    webutil.children = _served_children
    webutil.filerevnav = _ServedNavigation
    webcommands.filelog = _of_served(webcommands.filelog)
    webcommands.graph = _of_named(webcommands.graph)
    webcommands.staticfile = _found(webcommands.staticfile)
    webcommands._getdoc = _summary  # noqa: SLF001 a function of the library


def _patch_version_1() -> None:
    """Let commands of version 1 say no more than those of the framed protocol."""
    commands = wireprotov1server.commands
    commands[b"lookup"].func = _lookup
    cached_bundle = commands[b"get_cached_bundle_inline"]
    cached_bundle.func = _below_its_folder(cached_bundle.func)


def _unknown(_repository: Repository, name: bytes) -> Exception:
    """Return the error for a revision that is not served: the same as if it did not exist.

    The original says that it is filtered, so that any client can find out what exists.
    """
    unknown: Exception = error.RepoLookupError(b"unknown revision '%s'" % name)
    return unknown


def _committed(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Look up a revision by name; whatever is wrong with the name, the revision is unknown.

    The original returns the server's working directory for 40 (or a few) ``f``, and with it its
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
        # "." is what is checked out, served or not.
        if found.rev() is None or found.rev() in repository.changelog.filteredrevs:
            raise _unknown(repository, symbol)
        return found

    return revsymbol


def _has_unserved(repository: Any) -> bool:  # noqa: ANN401 of the library
    """Return whether the phase of any changeset forbids to send the store as it is.

    The original counts secret changesets, not archived and internal ones.
    """
    roots = repository._phasecache._phaseroots  # noqa: SLF001 as the original
    return any(roots[phase] for phase in phases.remotehiddenphases)


def _of_changeset(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Return the file that a page is about, named by a changeset.

    The original also accepts the node of a file's revision, whoever introduced it.
    """

    @functools.wraps(original)
    def filectx(repository: Any, request: Any) -> Any:  # noqa: ANN401 of the library
        named = request.qsparams.get(b"node") or request.qsparams.get(b"filenode")
        if named:
            scmutil.revsymbol(repository, named)
        return original(repository, request)

    return filectx


def _of_served(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Return the page of a file's history.

    For a changeset that has no such file, the original shows the last changeset before it that had
    one, served or not, with its branch, tags and bookmarks.
    """

    @functools.wraps(original)
    def filelog(web: Any) -> Any:  # noqa: ANN401 of the library
        try:
            webutil.filectx(web.repo, web.req)
        except error.LookupError:
            revisions = web.repo.file(webutil.cleanpath(web.repo, web.req.qsparams[b"file"]))
            last = webutil.changectx(web.repo, web.req).rev()
            before = [link for link in map(revisions.linkrev, revisions) if link <= last]
            # The original goes back to the last one before; whether that is served is what decides
            # here.
            if not before or before[-1] not in web.repo:
                raise
        return original(web)

    return filelog


def _of_named(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Return the page of the graph, which may name the changeset at its top.

    The original fails for any name but a whole node.
    """

    @functools.wraps(original)
    def graph(web: Any) -> Any:  # noqa: ANN401 of the library
        top = web.req.qsparams.get(b"graphtop")
        if top:
            web.req.qsparams[b"graphtop"] = scmutil.revsymbol(web.repo, top).hex()
        return original(web)

    return graph


def _found(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Answer a file of ``static``; the original has no answer for a path that is illegal."""

    @functools.wraps(original)
    def staticfile(*arguments: Any) -> Any:  # noqa: ANN401 of the library
        found = original(*arguments)
        if found is None:
            raise webcommands.ErrorResponse(webcommands.HTTP_NOT_FOUND)
        return found

    return staticfile


def _served_children(context: Any, hide: int | None = None) -> Any:  # noqa: ANN401 of the library
    """Return a page's links to children; the original returns all that a file has."""
    children = context.children()
    if hasattr(context, "linkrev"):
        children = [child for child in children if child.linkrev() in context.repo()]
    return webutil._siblings(children, hide)  # noqa: SLF001 likewise


class _ServedNavigation(webutil.filerevnav):  # type: ignore[misc]  # untyped
    """Links to other parts of a file's history; the original shows nodes that are not served."""

    def __init__(self, repository: Any, path: bytes) -> None:  # noqa: ANN401 of the library
        super().__init__(repository, path)
        self._view = repository

    def hex(self, revision: int) -> bytes:
        """Return the changeset of a file's revision, or the next one that is served."""
        links = map(self._revlog.linkrev, range(revision, len(self._revlog)))
        served = next((link for link in links if link in self._view), node.nullrev)
        return bytes(node.hex(self._changelog.node(served)))


def _without_working_directory(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Look up a revision in a search.

    The original finds the server's working directory, and with it the account and the host, the
    branch, and the names of files.
    """

    @functools.wraps(original)
    def found(repository: Any, subset: Any, *arguments: Any) -> Any:  # noqa: ANN401 of the library
        return original(repository, subset, *arguments).filter(_is_committed, cache=False)

    return found


def _is_committed(revision: int) -> bool:
    return bool(revision != node.wdirrev)


def _below_its_folder(original: Any) -> Any:  # noqa: ANN401 a function of the library
    """Answer version 1's ``get_cached_bundle_inline``.

    The original lets a client find out whether any file of the server exists, and sends those of
    folders whose names begin like that of the bundles.
    """

    @functools.wraps(original)
    def bundle(repository: Repository, protocol: object, path: bytes) -> object:
        if path.startswith(b"/") or b".." in path.split(b"/") or b"\0" in path:
            raise error.InputError(b"clonebundle %s does not exist" % path)
        try:
            return original(repository, protocol, path)
        except error.Abort as missing:
            raise error.InputError(missing.args[0]) from missing

    return bundle


def _summary(entry: Any) -> bytes:  # noqa: ANN401 of the library
    """Return the first line of a command's help; the original fails for it as text."""
    text = pycompat.getdoc(entry[0]) or b"(no help text available)"
    return bytes(text.partition(b"\n")[0])


def _lookup(repository: Repository, _protocol: object, key: bytes) -> object:
    """Answer version 1's ``lookup``; the original sends the text of whatever goes wrong."""
    try:
        said = b"1 %s\n" % values.lookup(repository, key).hex().encode()
    except Refusal as refusal:
        said = b"0 %s\n" % refusal.text
    return wireprototypes.bytesresponse(said)


def parse_arguments(query: bytes, *, keep_blank_values: bool = False) -> dict[bytes, list[bytes]]:
    """Return the arguments of a query, by name.

    The original decodes them as ASCII, and fails for others.
    """
    read: dict[bytes, list[bytes]] = {}
    for name, value in _parse_list(query, keep_blank_values=keep_blank_values):
        read.setdefault(name, []).append(value)
    return read


def _parse_list(query: bytes, *, keep_blank_values: bool = False) -> list[tuple[bytes, bytes]]:
    read = parse_qsl(
        # ISO-8859-1 has a character for each byte: what goes in comes out.
        query.decode("latin-1"),
        keep_blank_values=keep_blank_values,
        encoding="latin-1",
    )
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in read]
