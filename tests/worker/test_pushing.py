from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.worker import library, library_types, values
from wiredaemon.worker.failures import OperationFailed, Refusal, text_for_peer
from wiredaemon.worker.opening import KeptRepository, open_repository, served
from wiredaemon.worker.pushing import PushResult, pushkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.conftest import Repository

# Mercurial leaves the pipe of a shell hook to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

MOVED = PushResult(moved=True, output=b"")
NOT_MOVED = PushResult(moved=False, output=b"")
UNKNOWN = b"1" * 40


@pytest.fixture
def view(history: Repository) -> library_types.Repository:
    return served(open_repository(history.path))


@pytest.fixture(autouse=True)
def _no_lock_is_left(history: Repository) -> Iterator[None]:
    yield
    for lock in (".hg/wlock", ".hg/store/lock"):
        assert not (history.folder / lock).is_symlink()


def bookmarks_on_disk(repository: Repository) -> bytes:
    return (repository.folder / ".hg" / "bookmarks").read_bytes()


def test_a_bookmark_is_made(history: Repository, view: library_types.Repository) -> None:
    assert pushkey(view, b"bookmarks", b"new", b"", history.hex(1)) == MOVED
    assert values.listkeys(view, b"bookmarks")[b"new"] == history.hex(1)
    assert history.hex(1) + b" new\n" in bookmarks_on_disk(history)


@pytest.mark.parametrize("name", ["prénom".encode(), b"pr\xe9nom"])
def test_a_bookmark_has_an_utf_8_name_whatever_it_was_pushed_as(
    history: Repository, view: library_types.Repository, name: bytes
) -> None:
    assert pushkey(view, b"bookmarks", name, b"", history.hex(1)) == MOVED
    assert history.hex(1) + " prénom\n".encode() in bookmarks_on_disk(history)


def test_a_bookmark_is_moved_from_its_value(
    history: Repository, view: library_types.Repository
) -> None:
    assert pushkey(view, b"bookmarks", b"main", history.hex(4), history.hex(7)) == MOVED
    assert values.listkeys(view, b"bookmarks")[b"main"] == history.hex(7)


def test_upper_case_hex_is_fine(history: Repository, view: library_types.Repository) -> None:
    assert pushkey(view, b"bookmarks", b"new", b"", history.hex(3).upper()) == MOVED
    assert values.listkeys(view, b"bookmarks")[b"new"] == history.hex(3)


def test_a_bookmark_that_is_there_already_counts_as_moved(
    history: Repository, view: library_types.Repository
) -> None:
    assert pushkey(view, b"bookmarks", b"main", history.hex(0), history.hex(4)) == MOVED


def test_a_bookmark_is_not_moved_from_another_value(
    history: Repository, view: library_types.Repository
) -> None:
    assert pushkey(view, b"bookmarks", b"main", history.hex(0), history.hex(1)) == NOT_MOVED
    assert values.listkeys(view, b"bookmarks")[b"main"] == history.hex(4)


def test_a_bookmark_is_deleted(history: Repository, view: library_types.Repository) -> None:
    assert pushkey(view, b"bookmarks", b"main", history.hex(4), b"") == MOVED
    assert b" main\n" not in bookmarks_on_disk(history)


@pytest.mark.parametrize("old", [b"", UNKNOWN])
def test_deleting_a_missing_bookmark_is_done_already(
    view: library_types.Repository, old: bytes
) -> None:
    assert pushkey(view, b"bookmarks", b"missing", old, b"") == MOVED


def test_a_divergent_name_moves_nothing(
    history: Repository, view: library_types.Repository
) -> None:
    assert pushkey(view, b"bookmarks", b"main@other", b"", history.hex(1)) == NOT_MOVED


@pytest.mark.parametrize("target", [UNKNOWN, b"f" * 40])
def test_a_bookmark_cannot_go_to_an_unknown_changeset(
    view: library_types.Repository, target: bytes
) -> None:
    assert pushkey(view, b"bookmarks", b"new", b"", target) == NOT_MOVED
    assert b"new" not in values.listkeys(view, b"bookmarks")


def test_a_bookmark_cannot_go_to_a_secret_changeset(
    history: Repository, view: library_types.Repository
) -> None:
    assert pushkey(view, b"bookmarks", b"new", b"", history.hex(8)) == NOT_MOVED


def test_a_bookmark_on_a_secret_changeset_stays(
    history: Repository, view: library_types.Repository
) -> None:
    assert pushkey(view, b"bookmarks", b"hidden", b"", history.hex(1)) == NOT_MOVED
    assert history.hex(8) + b" hidden\n" in bookmarks_on_disk(history)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"", b"bookmark names cannot consist entirely of whitespace"),
        (b"  ", b"bookmark names cannot consist entirely of whitespace"),
        (b"tip", b"the name 'tip' is reserved"),
        (b"null", b"the name 'null' is reserved"),
        (b".", b"the name '.' is reserved"),
        (b"12", b"cannot use an integer as a name"),
        (b"a:b", b"':' cannot be used in a name"),
        (b"a\nb", b"a bookmark's name cannot contain control characters"),
        (b"a\tb", b"a bookmark's name cannot contain control characters"),
        (b"a\x00b", b"a bookmark's name cannot contain control characters"),
        (b" a ", b"a bookmark's name cannot begin or end with whitespace"),
    ],
)
def test_a_name_that_hg_bookmark_refuses_is_refused(
    history: Repository, view: library_types.Repository, name: bytes, reason: bytes
) -> None:
    before = bookmarks_on_disk(history)
    with pytest.raises((Refusal, library.error.Abort)) as caught:
        pushkey(view, b"bookmarks", name, b"", history.hex(1))
    assert text_for_peer(caught.value) == reason
    assert bookmarks_on_disk(history) == before


def test_a_bad_name_that_exists_can_be_deleted(history: Repository) -> None:
    (history.folder / ".hg" / "bookmarks").write_bytes(history.hex(1) + b" a:b\n")
    view = served(open_repository(history.path))
    assert pushkey(view, b"bookmarks", b"a:b", history.hex(1), b"") == MOVED
    assert bookmarks_on_disk(history) == b""


@pytest.mark.parametrize("target", [b"tip", b"main", b"1", b"z" * 40, b"0" * 39])
def test_a_value_that_is_no_hash_is_refused(view: library_types.Repository, target: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        pushkey(view, b"bookmarks", b"new", b"", target)
    assert caught.value.text == b"a bookmark's value has to be 40 hexadecimal digits, or empty"


def test_a_draft_is_published(history: Repository, view: library_types.Repository) -> None:
    assert pushkey(view, b"phases", history.hex(7), b"1", b"0") == MOVED
    assert values.listkeys(view, b"phases") == {b"publishing": b"True"}


@pytest.mark.parametrize(
    ("revision", "old", "new", "expected"),
    [
        (4, b"0", b"0", MOVED),
        (4, b"1", b"0", MOVED),
        (4, b"0", b"1", NOT_MOVED),
        (7, b"2", b"1", MOVED),
        (7, b"1", b"2", NOT_MOVED),
        (7, b"2", b"0", NOT_MOVED),
    ],
)
def test_a_phase_only_moves_towards_public(
    history: Repository,
    view: library_types.Repository,
    revision: int,
    old: bytes,
    new: bytes,
    expected: PushResult,
) -> None:
    assert pushkey(view, b"phases", history.hex(revision), old, new) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"1", b"x"),
        (b"x", b"0"),
        (b"", b"0"),
        (b"1", b""),
        (b"1", b"-1"),
        (b"1", b"3"),
        (b" 1", b"0"),
        (b"1", b"\xd9\xa0"),
    ],
)
def test_a_phase_that_does_not_exist_is_refused(
    history: Repository, view: library_types.Repository, old: bytes, new: bytes
) -> None:
    with pytest.raises(Refusal) as caught:
        pushkey(view, b"phases", history.hex(7), old, new)
    assert caught.value.text == b"a phase has to be 0 (public), 1 (draft) or 2 (secret)"


@pytest.mark.parametrize("key", [b"", b"7", b"tip", b"z" * 40])
def test_the_phase_of_what_is_no_hash_is_refused(
    view: library_types.Repository, key: bytes
) -> None:
    with pytest.raises(Refusal) as caught:
        pushkey(view, b"phases", key, b"1", b"0")
    assert caught.value.text == b"the key of a phase has to be 40 hexadecimal digits"


@pytest.mark.parametrize("key", [UNKNOWN, b"f" * 40])
def test_the_phase_of_an_unknown_changeset_is_refused(
    view: library_types.Repository, key: bytes
) -> None:
    with pytest.raises(Refusal) as caught:
        pushkey(view, b"phases", key, b"1", b"0")
    assert caught.value.text == b"unknown revision '%s'" % key


def test_a_secret_changeset_cannot_be_published(
    history: Repository, view: library_types.Repository
) -> None:
    with pytest.raises(Refusal, match="unknown revision"):
        pushkey(view, b"phases", history.hex(8), b"2", b"0")
    assert history.hg("log", "-r", "8", "-T", "{phase}") == b"secret"


@pytest.mark.parametrize("namespace", [b"namespaces", b"nothing", b"", b"\xff"])
def test_other_namespaces_move_nothing(view: library_types.Repository, namespace: bytes) -> None:
    assert pushkey(view, namespace, b"key", b"", b"value") == NOT_MOVED


def obsolescence(history: Repository) -> library_types.Repository:
    history.hgrc.write_text("[experimental]\nevolution = all\n")
    return served(open_repository(history.path))


def test_an_obsolescence_key_has_to_begin_with_dump(history: Repository) -> None:
    result = pushkey(obsolescence(history), b"obsolete", b"other", b"", b"")
    assert not result.moved
    assert result.output.startswith(b"unknown key: ")


def test_an_obsolescence_key_has_no_old_value(history: Repository) -> None:
    result = pushkey(obsolescence(history), b"obsolete", b"dump0", b"old", b"")
    assert not result.moved
    assert result.output.startswith(b"unexpected old value for ")


@pytest.mark.parametrize("markers", [b"", b"~~~\x01\n", b"nR<E"])
def test_malformed_obsolescence_markers_are_said_to_be_so(
    history: Repository, markers: bytes
) -> None:
    with pytest.raises(OperationFailed) as caught:
        pushkey(obsolescence(history), b"obsolete", b"dump0", b"", markers)
    assert b"obsole" in text_for_peer(caught.value)
    assert b"internal error" not in text_for_peer(caught.value)


def hooked(history: Repository, *lines: str) -> library_types.Repository:
    history.hgrc.write_text("\n".join(("[hooks]", *lines, "")))
    return served(open_repository(history.path))


def test_what_hooks_print_comes_back(
    history: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    view = hooked(
        history,
        "prepushkey = echo before $HG_NAMESPACE $HG_KEY; echo to stderr >&2",
        "pushkey = echo after $HG_RET",
    )
    assert pushkey(view, b"bookmarks", b"new", b"", history.hex(1)) == PushResult(
        moved=True, output=b"before bookmarks new\nto stderr\nafter 1\n"
    )
    assert capfd.readouterr() == ("", "")


def test_a_hook_may_refuse(history: Repository) -> None:
    view = hooked(history, "prepushkey = echo not today; exit 1")
    assert pushkey(view, b"bookmarks", b"new", b"", history.hex(1)) == PushResult(
        moved=False,
        output=b"not today\npushkey-abort: prepushkey hook exited with status 1\n",
    )


def test_a_hook_may_undo_the_transaction(history: Repository) -> None:
    view = hooked(history, "pretxnclose-bookmark = echo not that one; exit 1")
    before = bookmarks_on_disk(history)
    with pytest.raises(OperationFailed) as caught:
        pushkey(view, b"bookmarks", b"new", b"", history.hex(1))
    assert text_for_peer(caught.value).splitlines()[:2] == [
        b"pretxnclose-bookmark hook exited with status 1",
        b"not that one",
    ]
    assert bookmarks_on_disk(history) == before


def test_hooks_of_listkeys_run(history: Repository) -> None:
    view = hooked(history, "prelistkeys = exit 1")
    with pytest.raises(library.error.Abort) as caught:
        values.listkeys(view, b"bookmarks")
    assert text_for_peer(caught.value) == b"prelistkeys hook exited with status 1"


def test_output_after_a_failure_is_not_mixed_up(history: Repository) -> None:
    view = hooked(
        history, "prepushkey = echo $HG_KEY", "pretxnclose-bookmark.b = test new2 = $HG_BOOKMARK"
    )
    with pytest.raises(OperationFailed):
        pushkey(view, b"bookmarks", b"new", b"", history.hex(1))
    again = pushkey(view, b"bookmarks", b"new2", b"", history.hex(1))
    assert again == PushResult(moved=True, output=b"new2\n")


def test_a_locked_repository_is_waited_for_and_then_said_to_be_locked(
    history: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    history.hgrc.write_text("[ui]\ntimeout = 0\n")
    kept = KeptRepository(history.path)
    lock = history.folder / ".hg" / "wlock"
    lock.symlink_to("elsewhere:1")
    try:
        with pytest.raises(OperationFailed) as caught:
            pushkey(kept.served(), b"bookmarks", b"new", b"", history.hex(1))
    finally:
        lock.unlink()
    assert text_for_peer(caught.value) == b"timed out waiting for the repository lock"
    capfd.readouterr()
    assert pushkey(kept.served(), b"bookmarks", b"new", b"", history.hex(1)) == MOVED
