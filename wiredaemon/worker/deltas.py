"""The form in which a revision's text is sent: whole, or as a delta to what the client has.

Source: commands, sections 4.6 and 4.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.worker.library import is_censored, is_plain

if TYPE_CHECKING:
    from wiredaemon.worker.library_types import Revlog

NO_BASE: Final = -1
"""Stands for the base of a text that is sent whole."""


class TextForms:
    """Chooses the form of each text of one revlog, knowing all that was sent before.

    A delta that is stored is taken over when its base is there, which costs next to nothing. A
    text that is stored whole is sent whole, if not ``diffs_large``. Otherwise a delta is made, to
    a parent or to what was sent last, and sent if it is smaller than the text.

    Texts that are stored in a changed form (censored ones, and those kept elsewhere) are sent
    whole: their tombstone, or what the node is the hash of. Nothing is sent as a delta to them.

    Args:
        revlog: The revisions with the texts.
        have_parents: The client has, or gets, the parents of each revision sent.
        diffs_large: Make a delta also where a text from ``LARGE`` bytes on is stored whole. For
            manifests, which are stored whole now and then although little has changed.
    """

    LARGE: Final = 65536

    def __init__(self, revlog: Revlog, *, have_parents: bool, diffs_large: bool = False) -> None:
        self._revlog = revlog
        self._have_parents = have_parents
        self._diffs_large = diffs_large
        # Bytes by number, not a set of numbers, which takes some 60 bytes for each of millions of
        # revisions.
        self._sent = bytearray(len(revlog))
        """One byte for each revision: 1 if the client has it, so that it can be a base."""
        self._last = NO_BASE

    def send(self, revision: int) -> tuple[int, bytes]:
        """Return the base, or ``NO_BASE``, and the delta or text, and count the text as sent."""
        revlog = self._revlog
        flags = revlog.flags(revision)
        # Nearly all revisions have no flag: the test of the number saves a call.
        if flags and not is_plain(flags):
            return NO_BASE, self._special(revision, flags)
        if self._sent[revision]:
            # An empty delta to itself: the client has this very text.
            # As Mercurial answers a node that was asked for twice (commands, section 4.8).
            return revision, b""
        base, data = self._choose(revision)
        self._sent[revision] = 1
        self._last = revision
        return base, data

    def _special(self, revision: int, flags: int) -> bytes:
        if is_censored(flags):
            # The tombstone does not have the hash that the node says.
            return self._revlog.rawdata(revision, validate=False)
        return self._revlog.revision(revision)

    def _choose(self, revision: int) -> tuple[int, bytes]:
        revlog = self._revlog
        stored = revlog.deltaparent(revision)
        if stored >= 0:
            # The delta in the store is copied: nothing is decompressed or compared.
            if self._sent[stored] or self._is_parent(stored, revision):
                return stored, revlog.revdiff(stored, revision)
        elif not self._diffs_large or revlog.rawsize(revision) < self.LARGE:
            # Mercurial has found no delta worth storing.
            return NO_BASE, revlog.rawdata(revision)
        base = self._nearest(revision)
        if base < 0:
            return NO_BASE, revlog.rawdata(revision)
        delta = revlog.revdiff(base, revision)
        # A delta that is no smaller costs the client the work of applying it for nothing.
        if len(delta) < revlog.rawsize(revision):
            return base, delta
        return NO_BASE, revlog.rawdata(revision)

    def _nearest(self, revision: int) -> int:
        for parent in self._revlog.parentrevs(revision):
            if parent >= 0 and (self._sent[parent] or self._is_parent(parent, revision)):
                return parent
        # Neighbours in the store are mostly alike, whatever their parents are.
        return self._last

    def _is_parent(self, base: int, revision: int) -> bool:
        return (
            self._have_parents
            and base in self._revlog.parentrevs(revision)
            # The client's text of any other parent differs from the stored one.
            and is_plain(self._revlog.flags(base))
        )
