from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mercurial.hgweb import hgwebdir_mod

from wiredaemon.net.hosting.collection import (
    Budget,
    Collection,
    LocatedRepository,
    changed_at,
    is_served,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEPTH: Final = 32
STARS: Final = pytest.mark.parametrize("enters", [False, True], ids=["*", "**"])


def make(folder: Path, *repositories: str) -> None:
    """Make what looks like repositories."""
    for name in repositories:
        (folder / name / ".hg").mkdir(parents=True)


def of(folder: Path, *, enters: bool = False) -> Collection:
    return Collection(prefix="/team", folder=folder, enters_repositories=enters)


def names(path: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(part) for part in path.split("/")) if path else ()


def found(collection: Collection, path: str, depth: int = DEPTH) -> tuple[str, bytes] | None:
    """Where a path below the collection leads to: names joined, and folder."""
    located = collection.find(names(path), depth)
    return None if located is None else (b"/".join(located.names).decode(), located.path)


def listed(collection: Collection, below: str = "", *, most: int = 10_000) -> list[str]:
    places = collection.scan(names(below), DEPTH, Budget(most))
    return sorted(b"/".join(place.names).decode() for place in places)


# --- what hgwebdir means ----------------------------------------------------------------------


def test_one_star_stands_for_any_depth_but_not_for_what_is_inside_of_a_repository(
    tmp_path: Path,
) -> None:
    make(tmp_path, "one", "one/inner", "deep/er/two")
    collection = of(tmp_path)
    assert listed(collection) == ["deep/er/two", "one"]
    assert found(collection, "one") == ("one", os.fsencode(tmp_path / "one"))
    assert found(collection, "deep/er/two") == (
        "deep/er/two",
        os.fsencode(tmp_path / "deep/er/two"),
    )
    assert found(collection, "one/inner") == ("one", os.fsencode(tmp_path / "one"))
    assert found(collection, "deep/er") is None
    assert found(collection, "two") is None


def test_two_stars_also_stand_for_repositories_in_working_folders(tmp_path: Path) -> None:
    make(tmp_path, "one", "one/lib/inner", "one/lib/inner/most")
    collection = of(tmp_path, enters=True)
    assert listed(collection) == ["one", "one/lib/inner", "one/lib/inner/most"]
    assert found(collection, "one/lib/inner") == (
        "one/lib/inner",
        os.fsencode(tmp_path / "one/lib/inner"),
    )
    # The nearest repository above: what is behind its name is its own.
    assert found(collection, "one/lib/other") == ("one", os.fsencode(tmp_path / "one"))
    assert found(collection, "one/lib/inner/file") == (
        "one/lib/inner",
        os.fsencode(tmp_path / "one/lib/inner"),
    )


@STARS
def test_the_folder_itself_may_be_a_repository(tmp_path: Path, *, enters: bool) -> None:
    make(tmp_path, "", "inner")
    collection = of(tmp_path, enters=enters)
    assert found(collection, "") == ("", os.fsencode(tmp_path))
    assert listed(collection) == (["", "inner"] if enters else [""])


TREES: Final[st.SearchStrategy[dict[str, Any]]] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        st.sampled_from([".hg", "a", "b", "c d", "é"]), inner, max_size=3
    ),
    max_leaves=12,
)


def plant(folder: Path, tree: dict[str, Any]) -> None:
    for name, inner in tree.items():
        (folder / name).mkdir()
        if name != ".hg":
            plant(folder / name, inner)


def folders(folder: Path) -> Iterator[Path]:
    yield folder
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            yield from folders(each)


@given(tree=TREES, enters=st.booleans())
def test_the_same_repositories_are_found_as_by_hgwebdir(
    tree: dict[str, Any], *, enters: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        plant(Path(name), tree)
        stars = b"**" if enters else b"*"
        theirs = dict(hgwebdir_mod.findrepos([(b"team", os.fsencode(name) + b"/" + stars)]))
        collection = of(Path(name), enters=enters)
        ours = {
            b"/".join((b"team", *place.names)): place.path
            for place in collection.scan((), DEPTH, Budget(10_000))
        }
        assert ours == {each: os.path.normpath(path) for each, path in theirs.items()}
        # A lookup finds what is listed, and from each folder the nearest one above it.
        for folder in folders(Path(name)):
            below = folder.relative_to(name)
            parts = [] if below == Path() else [os.fsencode(part) for part in below.parts]
            if b".hg" in parts:
                continue
            above = [b"/".join([b"team", *parts[:length]]) for length in range(len(parts) + 1)]
            nearest = next((each for each in reversed(above) if each in ours), None)
            located = collection.find(parts, DEPTH)
            assert (located and located.path) == (nearest and ours[nearest])


# --- what cannot be reached -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [b"", b".", b"..", b".hg", b".HG", b".x", b"a/b", b"/", b"a\0", b"..\\..", b"a\\b", b"\0"],
)
@STARS
def test_a_name_that_is_more_than_one_step_down_is_not_taken(
    tmp_path: Path, name: bytes, *, enters: bool
) -> None:
    make(tmp_path, "top/a/b", "top/.x", "top/a\\b", "outside", "top/one/.hg/patches")
    collection = of(tmp_path / "top", enters=enters)
    assert not is_served(name)
    for path in ([name], [name, b"outside"], [b"a", name, b"outside"], [name, b"a", b"b"]):
        assert collection.find(path, DEPTH) is None
        assert collection.folder_at(path, DEPTH) is None
    nearest = collection.find([b"one", name, b"patches"], DEPTH)
    assert nearest == LocatedRepository((b"one",), os.fsencode(tmp_path / "top/one"))
    assert listed(collection) == ["a/b", "one"]


def test_a_file_a_missing_name_and_a_name_that_is_too_long_lead_nowhere(tmp_path: Path) -> None:
    make(tmp_path, "one")
    (tmp_path / "file").touch()
    for path in ("file", "file/x", "missing", "x" * 5000, "One", "\udcff"):
        assert found(of(tmp_path), path) is None
    assert found(of(tmp_path, enters=True), "one/" + "y/" * 4000) == (
        "one",
        os.fsencode(tmp_path / "one"),
    )


@STARS
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, *, enters: bool) -> None:
    top = tmp_path / "top"
    make(tmp_path, "outside", "topping", "top/one")
    (top / "link").symlink_to(tmp_path / "outside")
    (top / "relative").symlink_to("../outside")
    (top / "above").symlink_to("..")
    (top / "prefix").symlink_to(tmp_path / "topping")
    (top / "dangling").symlink_to("nothing")
    (top / "circle").symlink_to("circle")
    (top / "chain").symlink_to("relative")
    (top / "fake").mkdir()
    (top / "fake" / ".hg").symlink_to(tmp_path / "outside" / ".hg")
    collection = of(top, enters=enters)
    assert listed(collection) == ["one"]
    for path in (
        "link",
        "relative",
        "above/outside",
        "prefix",
        "dangling",
        "circle",
        "chain",
        "fake",
    ):
        assert found(collection, path) is None


@STARS
def test_links_to_what_is_hidden_are_not_followed(tmp_path: Path, *, enters: bool) -> None:
    make(tmp_path, "one", ".secret/two", "one/.hg/patches")
    (tmp_path / "secret").symlink_to(".secret")
    (tmp_path / "two").symlink_to(".secret/two")
    (tmp_path / "patches").symlink_to("one/.hg/patches")
    (tmp_path / "inside").symlink_to("one/.hg")
    collection = of(tmp_path, enters=enters)
    assert listed(collection) == ["one"]
    for path in ("secret/two", "two", "patches", "inside/patches"):
        assert found(collection, path) is None


@STARS
def test_links_inside_of_the_folder_are_other_names(tmp_path: Path, *, enters: bool) -> None:
    make(tmp_path, "group/one")
    (tmp_path / "alias").symlink_to("group/one")
    (tmp_path / "team").symlink_to(tmp_path / "group")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / ".hg").symlink_to("../group/one/.hg")
    collection = of(tmp_path, enters=enters)
    one = os.fsencode(tmp_path / "group/one")
    assert found(collection, "alias") == ("alias", one)
    assert found(collection, "team/one") == ("team/one", one)
    assert found(collection, "shared") == ("shared", os.fsencode(tmp_path / "shared"))
    assert listed(collection) == ["alias", "group/one", "shared", "team/one"]


@STARS
def test_circles_of_links_are_listed_once(tmp_path: Path, *, enters: bool) -> None:
    make(tmp_path, "a/one", "b/two")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b").symlink_to("../b")
    (tmp_path / "b" / "a").symlink_to("../a")
    assert listed(of(tmp_path, enters=enters)) == [
        "a/b/two",
        "a/one",
        "b/a/one",
        "b/two",
    ]


def test_the_folder_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    make(tmp_path, "real/one")
    (tmp_path / "real" / "alias").symlink_to("one")
    (tmp_path / "top").symlink_to("real")
    collection = of(tmp_path / "top")
    assert listed(collection) == ["alias", "one"]
    assert found(collection, "alias") == ("alias", os.fsencode(tmp_path / "real/one"))


NAMES: Final = [b"a", b"b", b"out", b"link", b"..", b".", b".hg", b"", b"a/..", b"\\", b"%2e%2e"]


@given(
    tree=st.lists(
        st.lists(st.sampled_from(["a", "b", ".hg", ".x", "link"]), max_size=4), max_size=6
    ),
    links=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b"]), max_size=2),
            st.lists(st.sampled_from(["a", "b", "..", "link", ".hg", ".x"]), max_size=5),
        ),
        max_size=4,
    ),
    asked=st.lists(st.lists(st.sampled_from(NAMES), max_size=6), min_size=1, max_size=8),
    enters=st.booleans(),
)
def test_whatever_is_asked_for_only_repositories_below_the_folder_come(
    tree: Sequence[Sequence[str]],
    links: Iterable[tuple[list[str], list[str]]],
    asked: Iterable[Sequence[bytes]],
    *,
    enters: bool,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        make(base, "out", "out/a", ".hg/a")
        top = base / "a"
        top.mkdir()
        for path in tree:
            top.joinpath(*path).mkdir(parents=True, exist_ok=True)
        for where, target in links:
            link = top.joinpath(*where, "link")
            if link.parent.is_dir() and not link.exists() and not link.is_symlink():
                link.symlink_to(Path(*target))
        collection = of(top, enters=enters)
        places = [collection.find(path, DEPTH) for path in asked]
        listed_now = list(collection.scan((), DEPTH, Budget(1000)))
        for place in [*filter(None, places), *listed_now]:
            real = Path(os.fsdecode(place.path)).resolve()
            below = real.relative_to(top)
            assert not any(part.startswith(".") for part in below.parts)
            assert (real / ".hg").is_dir()
            assert (real / ".hg").resolve().is_relative_to(top)
            assert all(map(is_served, place.names))
        for place in listed_now:
            assert collection.find(place.names, DEPTH) == place


# --- as the disk is now -----------------------------------------------------------------------


def test_a_repository_is_found_as_soon_as_it_is_there_and_no_longer(tmp_path: Path) -> None:
    collection = of(tmp_path / "later")
    assert found(collection, "one") is None
    assert listed(collection) == []
    make(tmp_path, "later/one")
    assert found(collection, "one") is not None
    assert listed(collection) == ["one"]
    (tmp_path / "later/one/.hg").rename(tmp_path / "later/one/old")
    assert found(collection, "one") is None
    assert listed(collection) == []


# --- bounds -----------------------------------------------------------------------------------


def test_what_is_too_deep_is_neither_found_nor_listed(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "a/c/d")
    collection = of(tmp_path)
    assert found(collection, "a/b", depth=2) is not None
    assert found(collection, "a/c/d", depth=2) is None
    places = collection.scan((), 2, Budget(100))
    assert [place.names for place in places] == [(b"a", b"b")]


def test_a_search_ends_with_its_budget_and_the_nearest_come_first(tmp_path: Path) -> None:
    make(tmp_path, "near", "deep/er/far")
    budget = Budget(2)
    assert [place.names for place in of(tmp_path).scan((), DEPTH, budget)] == [(b"near",)]
    assert budget.is_spent
    enough = Budget(4)
    assert len(list(of(tmp_path).scan((), DEPTH, enough))) == 2
    assert not enough.is_spent


def test_a_search_may_begin_below(tmp_path: Path) -> None:
    make(tmp_path, "a/one", "a/b/two", "three", "three/four")
    assert listed(of(tmp_path), "a") == ["a/b/two", "a/one"]
    assert listed(of(tmp_path), "a/b") == ["a/b/two"]
    assert listed(of(tmp_path), "missing") == []
    # A repository's folders are its own.
    assert listed(of(tmp_path), "three") == ["three"]
    assert listed(of(tmp_path), "three/four") == []


# --- when it changed --------------------------------------------------------------------------


def test_a_repository_changed_when_its_changelog_did(tmp_path: Path) -> None:
    make(tmp_path, "empty", "one", "shared", "relative")
    store = tmp_path / "one/.hg/store"
    store.mkdir()
    (store / "00changelog.i").touch()
    os.utime(store / "00changelog.i", (5, 1234.5))
    (tmp_path / "shared/.hg/sharedpath").write_text(f"{tmp_path}/one/.hg\n")
    (tmp_path / "relative/.hg/sharedpath").write_text("../../one/.hg")
    changed = {each.name: changed_at(os.fsencode(each)) for each in tmp_path.iterdir()}
    assert changed == {"empty": None, "one": 1234.5, "shared": 1234.5, "relative": 1234.5}
    (tmp_path / "empty/.hg/sharedpath").write_bytes(b"\0")
    assert changed_at(os.fsencode(tmp_path / "empty")) is None
