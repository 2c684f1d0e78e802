"""Whole histories in files: what a client unpacks before it pulls the rest.

``clone_bundle`` makes one, of what is served at that moment; ``bundle_states`` says of those that
were made before which of them still hold nothing but what is served. What is kept of them, and for
how long, is the daemon's business.

Source: extensions, section 1.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_from_bytes

from wiredaemon.worker import opening
from wiredaemon.worker.kept_clones import bundle_switch, clones_key
from wiredaemon.worker.library import (
    bundle2,
    changegroup,
    compression_engines,
    discovery,
    extensions,
    node,
    streamclone,
    wireprotov1server,
)
from wiredaemon.worker.values import http_protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Bundler, Repository

_CHANGES: Final = b"zstd-v2"
_ENGINE: Final = b"ZS"
_STREAM: Final = b"none-v2;stream=v2;requirements="
_VERSION: Final = b"02"
"""The version of changes in a bundle: what it cannot hold, needs a newer one."""
_SOURCE: Final = b"serve"
_DIGEST: Final = 16
"""Bytes of each digest that are summed."""
_PIECE: Final = 64 * 1024
"""Bytes of the pieces that a bundle is sent in; the library's own have 20 to some 32,000."""

_HARMLESS: Final = frozenset(
    (b"clonebundles", b"histedit", b"purge", b"rebase", b"share", b"strip", b"uncommit")
)
"""Extensions that change nothing of what a client is sent, nor who is sent it."""
_NOT_BUNDLED: Final = frozenset(
    (b"narrowhg-experimental", b"largefiles", b"lfs", b"treemanifest", b"bookmarksinstore")
)
"""Features of a repository that need more than a bundle of changes, or less of a copied store."""


def bundle_specs(repository: Repository) -> list[bytes]:
    """Return the kinds of bundles that clients of a repository may unpack, that of changes first.

    There are none where its clones are not kept, and where extensions may answer each user
    otherwise. A copy of the store, for those who ask for a stream, is none of them where the store
    has more than is served, or where clients would take drafts for public: those of 7.2 do when
    they pull anything after it.

    Args:
        repository: The served view.

    Raises:
        ConfigError: A switch is no boolean.
    """
    ui = repository.ui
    if not bundle_switch(ui) or not clones_key(repository):
        return []
    names = {bytes(name) for name, _ in extensions.extensions(ui)}
    is_plain = names <= _HARMLESS and _NOT_BUNDLED.isdisjoint(repository.requirements)
    is_plain = is_plain and compression_engines.forbundletype(_ENGINE).available()
    if not is_plain or _VERSION not in changegroup.supportedoutgoingversions(repository):
        return []
    is_copied = streamclone.allowservergeneration(repository) and not repository.obsstore
    if not is_copied or repository.changelog.filteredrevs or not _is_public(repository):
        return [_CHANGES]
    features = b",".join(sorted(streamclone.streamed_requirements(repository)))
    stream = _STREAM + quote_from_bytes(features, safe="").encode("ascii")
    return [_CHANGES, stream]


def clone_bundle(repository: Repository, *, spec: bytes) -> Iterator[Value]:
    """Make a bundle of all that is served.

    Args:
        repository: The served view.
        spec: One of `bundle_specs`.

    Yields:
        A map with what `bundle_states` asks for, then the bundle in pieces, then true if the
        history has only grown meanwhile, so that the bundle is good. Nothing if there is no
        history, or the kind is none of those that may be made by now.
    """
    heads = [bytes(head) for head in repository.heads()]
    if spec not in bundle_specs(repository) or heads == [node.nullid]:
        return
    changelog = repository.unfiltered().changelog
    count = len(changelog)
    last = changelog.node(count - 1)
    known: dict[bytes, Value] = {
        b"heads": heads,
        b"changesets": len(repository.changelog) - len(repository.changelog.filteredrevs),
        b"revisions": count,
        b"files": _files_of(repository, count),
    }
    yield known
    yield from _in_pieces(_bundler(repository, spec, heads).getchunks())
    # Read anew: who reads while another process strips may have read anything.
    now = opening.open_repository(os.path.dirname(repository.path.rstrip(b"/")))  # noqa: PTH120 bytes
    try:
        changelog = now.unfiltered().changelog
        has_grown = len(changelog) >= count and changelog.node(count - 1) == last
        yield has_grown and all(opening.served(now).known(heads))
    finally:
        now.close()


def _bundler(repository: Repository, spec: bytes, heads: Sequence[bytes]) -> Bundler:
    if spec != _CHANGES:
        bundler: Bundler = bundle2.bundle20(repository.ui, {b"stream": [b"v2"]})
        bundle2.addpartbundlestream2(bundler, repository, stream=True)
        return bundler
    bundler = bundle2.bundle20(repository.ui, {})
    bundler.setcompression(_ENGINE)
    outgoing = discovery.outgoing(repository, commonheads=[node.nullid], ancestorsof=list(heads))
    changes = changegroup.makechangegroup(repository, outgoing, _VERSION, _SOURCE)
    part = bundler.newpart(b"changegroup", data=changes.getchunks())
    part.addparam(b"version", _VERSION)
    part.addparam(b"nbchanges", b"%d" % len(outgoing.missing), mandatory=False)
    bundle2.addparttagsfnodescache(repository, bundler, outgoing)
    bundle2.addpartrevbranchcache(repository, bundler, outgoing)
    return bundler


def _in_pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(bytes(chunk))
        size += len(chunk)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def bundle_states(
    repository: Repository, *, bundles: Sequence[Mapping[bytes, Any]]
) -> Mapping[bytes, Value]:
    """Return which bundles hold nothing but what is served now, as it is now.

    Args:
        repository: The served view.
        bundles: What `clone_bundle` has said of each, and ``spec``.

    Returns:
        ``good``, a boolean for each; ``changesets``, how many are served; ``manifest`` and
        ``older``, the entries that a person has written for clients of today and for older ones.
    """
    protocol = http_protocol(repository)
    changelog = repository.changelog
    newer = wireprotov1server.clonebundles_2(repository, protocol, {})
    older = wireprotov1server.clonebundles(repository, protocol)
    return {
        b"good": [_is_good(repository, each) for each in bundles],
        b"changesets": len(changelog) - len(changelog.filteredrevs),
        b"manifest": bytes(newer.data),
        b"older": bytes(older.data),
    }


def _is_good(repository: Repository, bundle: Mapping[bytes, Any]) -> bool:
    # Whatever lies below a head that is served is served too.
    if not all(repository.known(bundle[b"heads"])):
        return False
    if bundle[b"spec"] != _CHANGES and not _is_public(repository, bundle[b"heads"]):
        return False
    count = bundle[b"revisions"]
    return bool(
        len(repository.unfiltered().changelog) >= count
        and _files_of(repository, count) == bundle[b"files"]
    )


def _is_public(repository: Repository, heads: Sequence[bytes] | None = None) -> bool:
    """Return whether clients take changesets for public: those below some heads, or all."""
    if repository.publishing():
        return True
    wanted = repository.heads() if heads is None else heads
    return all(repository.filtered(b"immutable").known(wanted))


def _files_of(repository: Repository, count: int) -> bytes:
    """Return a digest of where the system has put the files of a number of changesets.

    Their content may grow. A file that was written anew is another one: that is how a revision's
    text is taken out of a history whose changesets stay (``hg censor``).
    """
    everything = repository.unfiltered()
    changelog = everything.changelog
    touched: set[bytes] = set()
    for revision in range(count, len(changelog)):
        touched.update(changelog.changelogrevision(revision).files)
    total = 0
    for entry in everything.store.data_entries():
        path = bytes(entry.target_id)
        if not entry.is_filelog or (path in touched and _is_newer(everything, path, count)):
            continue
        try:
            place = everything.svfs.stat(entry.main_file_path()).st_ino
        except OSError:
            place = 0
        # The sum, for whatever order the files are named in.
        total += int.from_bytes(hashlib.sha256(b"%d %s" % (place, path)).digest()[:_DIGEST])
    return b"%x" % total


def _is_newer(repository: Repository, path: bytes, count: int) -> bool:
    """Return whether a file has come with a later changeset."""
    revisions = repository.file(path).get_revlog()
    return bool(len(revisions)) and revisions.linkrev(0) >= count
