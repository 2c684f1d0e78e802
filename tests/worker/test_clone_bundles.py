"""Bundles that a worker makes, and what it says of them later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.worker.clone_bundles import bundle_specs, bundle_states, clone_bundle
from wiredaemon.worker.opening import open_repository, served

if TYPE_CHECKING:
    from pathlib import Path

    from worker.conftest import Repository

pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

CHANGES = b"zstd-v2"
DRAFTS = "[phases]\npublish = no\n"


def view(repository: Repository) -> Any:
    return served(open_repository(repository.path))


def specs(repository: Repository, hgrc: str = "") -> list[bytes]:
    repository.hgrc.write_text(hgrc)
    return bundle_specs(view(repository))


def made(repository: Repository, spec: bytes = CHANGES) -> tuple[dict[bytes, Any], bytes]:
    known, *pieces, is_good = clone_bundle(view(repository), spec=spec)
    assert isinstance(known, dict)
    assert is_good is True
    return {**known, b"spec": spec}, b"".join(pieces)  # type: ignore[arg-type]


def is_good(repository: Repository, known: dict[bytes, Any]) -> bool:
    states: Any = bundle_states(view(repository), bundles=[known])
    (good,) = states[b"good"]
    return bool(good)


def test_a_copy_of_the_store_is_made_where_nothing_in_it_is_hidden(
    history: Repository, empty: Repository
) -> None:
    stream = (
        b"none-v2;stream=v2;requirements="
        b"generaldelta%2Crevlog-compression-zstd%2Crevlogv1%2Csparserevlog"
    )
    assert specs(empty) == [CHANGES, stream]
    assert specs(empty, "[server]\nuncompressed = no\n") == [CHANGES]
    # There is a secret changeset in it.
    assert specs(history) == [CHANGES]
    assert specs(history, "[server]\nuncompressedallowsecret = yes\n") == [CHANGES]
    empty.commit("a")
    assert specs(empty) == [CHANGES, stream]
    assert specs(empty, DRAFTS) == [CHANGES]
    empty.hg("phase", "--public", "-r", "0")
    assert specs(empty, DRAFTS) == [CHANGES, stream]
    evolution = "[experimental]\nevolution = all\n"
    assert specs(empty, evolution) == [CHANGES, stream]
    empty.hg("debugobsolete", "1" * 40)
    assert specs(empty, evolution) == [CHANGES]


@pytest.mark.parametrize(
    "hgrc",
    [
        "[wiredaemon]\nclone-bundles = no\n",
        "[wiredaemon]\nkeep-clones = no\n",
        "[hooks]\noutgoing = true\n",
        "[extensions]\nlargefiles =\n",
    ],
)
def test_where_bundles_could_say_too_much_none_is_made(history: Repository, hgrc: str) -> None:
    assert specs(history, hgrc) == []
    assert list(clone_bundle(view(history), spec=CHANGES)) == []


def test_of_nothing_there_is_no_bundle(empty: Repository) -> None:
    assert list(clone_bundle(view(empty), spec=CHANGES)) == []


def test_a_bundle_holds_what_is_served(history: Repository, tmp_path: Path) -> None:
    known, content = made(history)
    assert known[b"changesets"] == 8
    assert known[b"revisions"] == 9
    file = tmp_path / "bundle.hg"
    file.write_bytes(content)
    nodes = history.hg("-R", str(file), "log", "-r", "bundle()", "-T", "{node}\n").split()
    assert nodes == [] or set(nodes) <= {history.hex(number) for number in range(8)}
    listed = history.hg("debugbundle", str(file))
    for number in range(8):
        assert history.hex(number) in listed
    assert history.hex(8) not in listed


def test_a_history_that_only_grows_leaves_a_bundle_good(history: Repository) -> None:
    known, _ = made(history)
    assert is_good(history, known)
    history.commit("9")
    history.hg("phase", "--force", "--draft", "-r", "4")
    assert is_good(history, known)
    states = bundle_states(view(history), bundles=[])
    assert states[b"good"] == []
    assert states[b"changesets"] == 9


@pytest.mark.parametrize(
    "change",
    [
        ("phase", "--force", "--secret", "-r", "7"),
        ("--config", "extensions.strip=", "strip", "--no-backup", "-r", "7"),
    ],
)
def test_what_is_served_no_more_makes_a_bundle_bad(
    history: Repository, change: tuple[str, ...]
) -> None:
    known, _ = made(history)
    history.hg(*change)
    assert not is_good(history, known)


def test_what_was_public_makes_a_copy_of_the_store_bad(empty: Repository) -> None:
    empty.commit("a")
    empty.hg("phase", "--public", "-r", "0")
    stream = specs(empty, DRAFTS)[1]
    known, _ = made(empty, stream)
    empty.commit("b")
    assert is_good(empty, known)
    empty.hg("phase", "--force", "--draft", "-r", "0")
    assert not is_good(empty, known)
    # Clients take all for public then.
    empty.hgrc.write_text("")
    assert is_good(empty, known)


def test_a_file_that_was_written_anew_makes_a_bundle_bad(empty: Repository) -> None:
    """So is one of which something was censored, though the changesets stay."""
    empty.commit("a")
    known, _ = made(empty)
    empty.commit("b")
    assert is_good(empty, known)
    file = empty.folder / ".hg" / "store" / "data" / "a.i"
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert not is_good(empty, known)


def test_a_strip_while_a_bundle_is_made_is_noticed(history: Repository) -> None:
    pieces = clone_bundle(view(history), spec=CHANGES)
    next(pieces)
    history.hg("--config", "extensions.strip=", "strip", "--no-backup", "-r", "8")
    assert list(pieces)[-1] is False


def test_entries_that_a_person_has_written_are_said(history: Repository) -> None:
    manifest = history.folder / ".hg" / "clonebundles.manifest"
    manifest.write_bytes(b"https://h/a BUNDLESPEC=gzip-v2\npeer-bundle-cache://b\n")
    states: Any = bundle_states(view(history), bundles=[])
    assert states[b"manifest"] == manifest.read_bytes()
    assert states[b"older"].split(b"\n") == [b"https://h/a BUNDLESPEC=gzip-v2", b"", b""]
