from __future__ import annotations

from typing import TYPE_CHECKING

from support.histories import History

from wiredaemon.worker.deltas import NO_BASE, TextForms

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.worker.library_types import Revlog


def three_revisions(folder: Path) -> Revlog:
    """One after the other: the first whole, the others deltas to the one before."""
    history = History(folder / "history")
    text = b"line\n" * 100
    nodes: list[bytes] = []
    for number in range(3):
        text += b"%d\n" % number
        nodes.append(history.commit(*nodes[-1:], files={b"a": text}))
    revlog = history.view().file(b"a").get_revlog()
    assert [revlog.deltaparent(revision) for revision in range(3)] == [-1, 0, 1]
    return revlog


def test_the_stored_delta_is_sent_where_its_base_was(tmp_path: Path) -> None:
    revlog = three_revisions(tmp_path)
    forms = TextForms(revlog, have_parents=False)
    sent = [forms.send(revision) for revision in range(3)]
    assert sent == [
        (NO_BASE, revlog.rawdata(0)),
        (0, revlog.revdiff(0, 1)),
        (1, revlog.revdiff(1, 2)),
    ]


def test_what_the_client_cannot_have_is_no_base(tmp_path: Path) -> None:
    revlog = three_revisions(tmp_path)
    assert TextForms(revlog, have_parents=False).send(2) == (NO_BASE, revlog.rawdata(2))


def test_a_parent_is_a_base_where_clients_have_parents(tmp_path: Path) -> None:
    revlog = three_revisions(tmp_path)
    assert TextForms(revlog, have_parents=True).send(2) == (1, revlog.revdiff(1, 2))


def test_what_was_sent_last_is_a_base_where_no_better_one_is_there(tmp_path: Path) -> None:
    revlog = three_revisions(tmp_path)
    forms = TextForms(revlog, have_parents=False)
    forms.send(0)
    assert forms.send(2) == (0, revlog.revdiff(0, 2))


def test_a_second_time_it_is_a_delta_to_itself(tmp_path: Path) -> None:
    revlog = three_revisions(tmp_path)
    forms = TextForms(revlog, have_parents=False)
    forms.send(0)
    assert forms.send(0) == (0, b"")


def test_a_delta_is_not_sent_if_it_is_no_smaller_than_the_text(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    first = history.commit(files={b"a": b"1\n" * 9})
    middle = history.commit(first, files={b"a": b"2\n" * 9})
    history.commit(middle, files={b"a": b"3\n"})
    revlog = history.view().file(b"a").get_revlog()
    forms = TextForms(revlog, have_parents=True, diffs_large=True)
    base, data = forms.send(2)
    assert (base, data) == (NO_BASE, b"3\n")


def test_large_texts_stored_whole_are_sent_as_deltas_where_asked(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    text = b"".join(b"%d\n" % number for number in range(20000))
    # Without a common ancestor each is stored whole.
    history.commit(files={b"a": text})
    history.commit(files={b"a": b"new\n" + text})
    revlog = history.view().file(b"a").get_revlog()
    for diffs_large, base in ((False, NO_BASE), (True, 0)):
        forms = TextForms(revlog, have_parents=False, diffs_large=diffs_large)
        assert [forms.send(revision)[0] for revision in range(2)] == [NO_BASE, base]
