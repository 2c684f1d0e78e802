from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.histories import History, random_history, varied
from support.replica import read_all, read_files

from wiredaemon.commands import CommandError
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.file_data import filedata, filesdata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.replica import Record

    from wiredaemon.worker import library_types

ALL = frozenset({b"linknode", b"firstchangeset", b"parents", b"revision"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[str, bytes]]:
    return varied(tmp_path_factory.mktemp("varied") / "history")


@pytest.fixture
def history(made: tuple[History, dict[str, bytes]]) -> History:
    return made[0]


@pytest.fixture
def nodes(made: tuple[History, dict[str, bytes]]) -> dict[str, bytes]:
    return made[1]


@pytest.fixture
def view(history: History) -> library_types.Repository:
    return history.view()


def explicit(*nodes: bytes) -> list[object]:
    return [{b"type": b"changesetexplicit", b"nodes": list(nodes)}]


def files_of(
    view: library_types.Repository,
    *nodes: bytes,
    have_parents: bool,
    path_filter: Any = None,
    fields: frozenset[bytes] = ALL,
) -> Iterator[Any]:
    return filesdata(
        view,
        revisions=explicit(*nodes),
        fields=fields,
        haveparents=have_parents,
        pathfilter=path_filter,
    )


def pairs(files: dict[bytes, list[Record]]) -> list[tuple[bytes, bytes]]:
    return sorted((path, record.node) for path, found in files.items() for record in found)


def changed(history: History, nodes: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """The definition, word for word (commands, section 4.11)."""
    return sorted(
        {
            (path, history.files(node)[path])
            for node in nodes
            for path in history.changed(node)
            if path in history.files(node)
        }
    )


def check_storage_order(history: History, files: dict[bytes, list[Record]]) -> None:
    for path, found in files.items():
        storage = history.repo.file(path)
        revisions = [storage.rev(record.node) for record in found]
        assert revisions == sorted(set(revisions))


def check_links(history: History, files: dict[bytes, list[Record]]) -> None:
    for path, found in files.items():
        for record in found:
            assert record.raw[b"linknode"] in history.introducers(path, record.node)
            assert record.raw[b"firstchangeset"] == record.raw[b"linknode"]


def test_a_clone_has_the_files_of_all_changesets(
    history: History, view: library_types.Repository
) -> None:
    served = history.served_nodes()
    files = read_files(files_of(view, *served, have_parents=True), {})
    assert pairs(files) == changed(history, served)
    everything = {pair for node in served for pair in history.files(node).items()}
    assert set(pairs(files)) == everything
    check_storage_order(history, files)
    check_links(history, files)


def test_without_parents_all_files_of_the_changesets_come(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    asked = [nodes["head"], nodes["side"], nodes["root"]]
    files = read_files(files_of(view, *asked, have_parents=False))
    assert pairs(files) == sorted({pair for node in asked for pair in history.files(node).items()})
    check_storage_order(history, files)
    check_links(history, files)


def test_what_a_changeset_removed_or_renamed_is_passed_over(
    nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    asked = [nodes["remove"], nodes["rename"]]
    files = read_files(files_of(view, *asked, have_parents=True), {})
    assert list(files) == [b"dir/moved"]


def test_a_change_of_flags_alone_gives_the_file_as_it_was(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    files = read_files(files_of(view, nodes["flag"], have_parents=True), {})
    assert pairs(files) == changed(history, [nodes["flag"]])
    check_links(history, files)


def test_a_revision_that_came_again_has_its_first_changeset_as_link(
    nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    files = read_files(files_of(view, nodes["again"], have_parents=True), {})
    ((path, (record,)),) = files.items()
    assert (path, record.raw[b"linknode"]) == (b"dir/f2", nodes["root"])


def test_a_link_is_never_to_a_changeset_that_is_not_served(
    nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    asked = [nodes["public twin"], nodes["head"]]
    files = read_files(files_of(view, *asked, have_parents=False))
    links = {path: found[-1].raw[b"linknode"] for path, found in files.items()}
    assert links[b"twin"] == nodes["public twin"]
    assert links[b"shared"] == nodes["shared"]


def test_each_revision_comes_once_however_many_changesets_have_it(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    asked = [nodes["root"], nodes["again"]]
    files = read_files(files_of(view, *asked, have_parents=True), {})
    assert pairs(files) == sorted(history.files(nodes["root"]).items())


def test_an_update_has_deltas_to_parents_that_are_not_sent(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    known: dict[bytes, dict[bytes, bytes]] = {}
    read_files(files_of(view, nodes["root"], nodes["edit"], have_parents=True), known)
    files = read_files(files_of(view, nodes["side"], have_parents=True), known)
    assert pairs(files) == changed(history, [nodes["side"]])
    (record,) = files[b"dir/f1"]
    assert record.base in record.parents


def test_without_parents_the_first_text_of_a_path_is_whole(
    nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    files = read_files(files_of(view, nodes["side"], nodes["head"], have_parents=False))
    assert {found[0].base for found in files.values()} == {None}
    assert files[b"dir/f1"][1].base is not None


def test_filters_choose_paths(nodes: dict[str, bytes], view: library_types.Repository) -> None:
    wanted = {b"include": [b"path:dir"], b"exclude": [b"path:dir/f1"]}
    for have_parents in (False, True):
        found = files_of(view, nodes["root"], have_parents=have_parents, path_filter=wanted)
        paths = list(read_files(found, {} if have_parents else None))
        assert paths == sorted(b"dir/f%d" % number for number in range(20) if number != 1)


def test_records_have_what_was_asked_for(
    nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    found = files_of(view, nodes["rename"], have_parents=True, fields=frozenset())
    header, described, record = found
    assert header == {b"totalpaths": 1, b"totalitems": 1}
    assert described == {b"path": b"dir/moved", b"totalitems": 1}
    assert list(record) == [b"node"]


def test_a_copy_keeps_the_order_of_its_parents_and_its_header(
    nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    (record,) = read_files(files_of(view, nodes["rename"], have_parents=True), {})[b"dir/moved"]
    assert record.text.startswith(b"\x01\ncopy: dir/f3\n")
    assert record.parents[0] == bytes(20)


@pytest.mark.parametrize("name", ["secret", "obsolete", "twin", "missing"])
def test_files_of_what_is_not_served_are_of_an_unknown_revision(
    nodes: dict[str, bytes], view: library_types.Repository, name: str
) -> None:
    node = nodes.get(name, b"\x11" * 20)
    with pytest.raises(Refusal) as caught:
        next(files_of(view, node, have_parents=True))
    assert caught.value.text == b"unknown revision '%s'" % node.hex().encode()


def test_no_changesets_have_no_files(view: library_types.Repository) -> None:
    assert list(files_of(view, have_parents=True)) == [{b"totalpaths": 0, b"totalitems": 0}]


def one_file(
    view: library_types.Repository, path: bytes, *nodes: bytes, have_parents: bool = False
) -> Iterator[Any]:
    fields = frozenset({b"linknode", b"parents", b"revision"})
    return filedata(view, path=path, nodes=list(nodes), fields=fields, haveparents=have_parents)


def test_revisions_of_one_file_come_in_the_order_of_the_store(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    changesets = [nodes[name] for name in ("root", "edit", "side", "merge")]
    revisions = [history.files(node)[b"dir/f1"] for node in changesets]
    found = read_all(one_file(view, b"dir/f1", *reversed(revisions)))
    assert [record.node for record in found] == revisions
    assert [record.raw[b"linknode"] for record in found] == changesets


def test_the_null_node_is_not_counted_and_a_second_one_is_as_the_first(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    node = history.files(nodes["root"])[b"dir/f1"]
    header, first, text, second, delta = one_file(view, b"dir/f1", bytes(20), node, node)
    assert header == {b"totalitems": 2}
    assert first[b"fieldsfollowing"] == [[b"revision", len(text)]]
    assert (second[b"deltabasenode"], delta) == (node, b"")


def test_a_revision_shared_with_a_secret_changeset_is_served(
    history: History, nodes: dict[str, bytes], view: library_types.Repository
) -> None:
    (record,) = read_all(one_file(view, b"shared", history.files(nodes["shared"])[b"shared"]))
    assert record.raw[b"linknode"] == nodes["shared"]


@pytest.mark.parametrize("path", [b"missing", b"hidden", b"old", b"", b"dir", b"../00manifest"])
def test_a_file_that_is_not_served_is_unknown(
    history: History, nodes: dict[str, bytes], view: library_types.Repository, path: bytes
) -> None:
    node = {**history.files(nodes["secret"]), **history.files(nodes["obsolete"])}.get(path)
    with pytest.raises(CommandError) as caught:
        next(one_file(view, path, node or b"\x11" * 20))
    assert (caught.value.message, caught.value.arguments) == (b"unknown file: %s", (path,))


@pytest.mark.parametrize("node", [b"\x11" * 20, b"short", b"\xff" * 20])
def test_a_node_that_the_file_does_not_have_is_unknown(
    view: library_types.Repository, node: bytes
) -> None:
    with pytest.raises(CommandError) as caught:
        next(one_file(view, b"dir/f1", node))
    expected = (b"unknown file node: %s", (node.hex().encode(),))
    assert (caught.value.message, caught.value.arguments) == expected


def test_a_path_longer_than_any_is_unknown(view: library_types.Repository) -> None:
    with pytest.raises(CommandError, match="unknown file"):
        next(one_file(view, b"a/" * 20_000 + b"b", b"\x11" * 20))


def test_a_search_for_who_introduced_a_revision_is_done_once(tmp_path: Path) -> None:
    new = History(tmp_path / "new")
    root = new.commit(files={b"many/%d" % number: b"x" for number in range(3000)})
    secret = new.commit(root, files={b"a": b"1\n"})
    shown = new.commit(root, files={b"a": b"1\n"})
    new.make_secret(secret)
    view, node = new.view(), new.files(shown)[b"a"]

    def seconds(count: int) -> float:
        started = time.process_time()
        nodes = [node] * count
        objects = filedata(view, path=b"a", nodes=nodes, fields=frozenset(), haveparents=False)
        assert next(objects) == {b"totalitems": count}
        return time.process_time() - started

    assert seconds(1000) < 0.02 + 20 * seconds(1)


def test_a_secret_revision_of_a_served_file_is_unknown(tmp_path: Path) -> None:
    new = History(tmp_path / "new")
    root = new.commit(files={b"a": b"1\n"})
    secret = new.commit(root, files={b"a": b"2\n"})
    new.make_secret(secret)
    with pytest.raises(CommandError, match="unknown file node"):
        next(one_file(new.view(), b"a", new.files(secret)[b"a"]))


def test_a_censored_revision_is_sent_as_its_tombstone(tmp_path: Path) -> None:
    new = History(tmp_path / "new")
    root = new.commit(files={b"a": b"public\n" * 20})
    leak = new.commit(root, files={b"a": b"public\n" * 20 + b"leak\n"})
    head = new.commit(leak, files={b"a": b"public\n" * 20 + b"clean\n"})
    with new.repo.lock(), new.repo.transaction(b"censor") as transaction:
        storage = new.repo.file(b"a")
        storage.censorrevision(transaction, [new.files(leak)[b"a"]], b"gone")
    objects = list(files_of(new.view(), root, leak, head, have_parents=True))
    records = {item[b"node"]: item for item in objects if b"node" in item}
    assert b"deltabasenode" not in records[new.files(leak)[b"a"]]
    assert b"leak" not in b"".join(item for item in objects if isinstance(item, bytes))
    assert records[new.files(head)[b"a"]].get(b"deltabasenode") != new.files(leak)[b"a"]


def test_with_tree_manifests_the_same_files_come(tmp_path: Path) -> None:
    new = History(tmp_path / "new", settings={"experimental.treemanifest": "1"})
    assert b"treemanifest" in new.repo.requirements
    root = new.commit(files={b"a/b/c": b"1\n", b"d": b"2\n"})
    head = new.commit(root, files={b"a/b/c": b"3\n"}, removed=[b"d"])
    view = new.view()
    changed_files = read_files(files_of(view, root, head, have_parents=True), {})
    assert pairs(changed_files) == changed(new, [root, head])
    all_files = read_files(files_of(view, head, have_parents=False))
    assert pairs(all_files) == sorted(new.files(head).items())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_any_history_is_given_as_it_is(seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311  to choose, the same way again
    with tempfile.TemporaryDirectory() as folder:
        history = random_history(Path(folder, "history"), choose, 25)
        view, served = history.view(), history.served_nodes()
        asked = choose.sample(served, choose.randrange(len(served) + 1))
        known: dict[bytes, dict[bytes, bytes]] = {}
        whole = read_files(files_of(view, *served, have_parents=True), known)
        assert pairs(whole) == changed(history, served)
        check_links(history, whole)
        part = read_files(files_of(view, *asked, have_parents=True), known)
        assert pairs(part) == changed(history, asked)
        check_links(history, part)
        shallow = read_files(files_of(view, *asked, have_parents=False))
        wanted = {pair for node in asked for pair in history.files(node).items()}
        assert pairs(shallow) == sorted(wanted)
        check_links(history, shallow)
