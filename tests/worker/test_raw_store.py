from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.histories import History

from wiredaemon.commands import CommandError, IndefiniteBytes
from wiredaemon.worker.library import phase_name
from wiredaemon.worker.opening import open_repository, served
from wiredaemon.worker.raw_store import PIECE_SIZE, rawstorefiledata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.conftest import Repository


def raw(repository: Repository, *files: object) -> Iterator[Any]:
    return rawstorefiledata(served(open_repository(repository.path)), files=files)


def read(objects: Iterator[Any]) -> dict[bytes, bytes]:
    """Name and content, checked against the header."""
    header = next(objects)
    contents: dict[bytes, bytes] = {}
    for described in objects:
        content = next(objects)
        assert isinstance(content, IndefiniteBytes)
        pieces = list(content.chunks)
        assert all(0 < len(piece) <= PIECE_SIZE for piece in pieces)
        assert described == {
            b"location": b"store",
            b"path": described[b"path"],
            b"size": sum(map(len, pieces)),
        }
        contents[described[b"path"]] = b"".join(pieces)
    assert header == {
        b"filecount": len(contents),
        b"totalsize": sum(map(len, contents.values())),
    }
    return contents


def on_disk(repository: Repository, *names: bytes) -> list[tuple[bytes, bytes]]:
    store = repository.folder / ".hg" / "store"
    return [(name, (store / name.decode()).read_bytes()) for name in names]


def no_secrets(history: Repository) -> None:
    history.hg("phase", "--draft", "-r", "8")


def test_the_files_are_those_of_the_store_manifests_first(history: Repository) -> None:
    no_secrets(history)
    contents = read(raw(history, b"changelog", b"manifestlog"))
    names = (b"00manifest.i", b"00changelog.i", b"00changelog.d")
    assert list(contents.items()) == on_disk(history, *names)


def test_only_what_was_asked_for_comes(history: Repository) -> None:
    no_secrets(history)
    assert list(read(raw(history, b"manifestlog"))) == [b"00manifest.i"]
    assert read(raw(history)) == {}


def test_an_empty_repository_has_no_files(empty: Repository) -> None:
    assert read(raw(empty, b"changelog", b"manifestlog")) == {}


def test_what_is_committed_meanwhile_is_not_sent(history: Repository) -> None:
    no_secrets(history)
    names = (b"00manifest.i", b"00changelog.i", b"00changelog.d")
    before = on_disk(history, *names)
    objects = raw(history, b"changelog", b"manifestlog")
    header = next(objects)
    history.commit("meanwhile")
    assert on_disk(history, *names) != before
    sent = [b"".join(next(objects).chunks) for described in objects if described]
    assert sent == [content for _, content in before]
    assert header[b"filecount"] == len(sent)


# Mercurial leaves the files that it split to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("garbage_of_test_collected")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_index_that_is_split_meanwhile_is_sent_as_it_was(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    root = history.commit(files={b"a": b"1\n"})
    store = tmp_path / "history" / ".hg" / "store"
    before = (store / "00manifest.i").read_bytes()
    objects = rawstorefiledata(history.view(), files=[b"manifestlog"])
    header = next(objects)
    history.commit(root, files={b"file%d" % number: b"%d\n" % number for number in range(6000)})
    assert (store / "00manifest.d").exists()
    described, content = next(objects), next(objects)
    assert header == {b"filecount": 1, b"totalsize": len(before)}
    assert described == {b"location": b"store", b"path": b"00manifest.i", b"size": len(before)}
    assert isinstance(content, IndefiniteBytes)
    assert b"".join(content.chunks) == before


def test_secret_changesets_forbid_it(history: Repository) -> None:
    with pytest.raises(CommandError) as caught:
        next(raw(history, b"nothing"))
    assert caught.value.message == b"stream clone is disabled"


def test_a_changeset_that_became_secret_before_the_store_was_locked_forbids_it(
    history: Repository,
) -> None:
    no_secrets(history)
    view = served(open_repository(history.path))
    # Now it has read the phases, and does not look again until it locks the store.
    assert phase_name(view.unfiltered(), 8) == b"draft"
    history.hg("phase", "--force", "--secret", "-r", "8")
    with pytest.raises(CommandError) as caught:
        next(rawstorefiledata(view, files=[b"changelog"]))
    assert caught.value.message == b"stream clone is disabled"


def test_unknown_names_are_sorted_in_the_error(empty: Repository) -> None:
    with pytest.raises(CommandError) as caught:
        next(raw(empty, b"z", b"changelog", b"a"))
    assert caught.value.message == b"unknown file type: %s"
    assert caught.value.arguments == (b"a, z",)


def test_a_name_of_another_type_is_refused(empty: Repository) -> None:
    with pytest.raises(CommandError, match="must be byte strings"):
        next(raw(empty, 1))
