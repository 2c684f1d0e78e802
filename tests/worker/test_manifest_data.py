from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.histories import History, varied
from support.replica import read_all

from wiredaemon.commands import CommandError
from wiredaemon.worker.manifest_data import manifestdata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = frozenset({b"parents", b"revision"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[str, bytes]]:
    return varied(tmp_path_factory.mktemp("varied") / "history")


def data(
    history: History, *nodes: object, have_parents: bool = True, tree: bytes = b""
) -> Iterator[Any]:
    return manifestdata(
        history.view(), tree=tree, nodes=nodes, fields=BOTH, haveparents=have_parents
    )


@pytest.mark.parametrize("have_parents", [False, True])
def test_a_clone_has_the_manifests_of_all_changesets(
    made: tuple[History, dict[str, bytes]], *, have_parents: bool
) -> None:
    history, _ = made
    wanted = list(dict.fromkeys(map(history.manifest, history.served_nodes())))
    objects = data(history, *reversed(wanted), have_parents=have_parents)
    found = read_all(objects, {} if have_parents else None)
    assert sorted(record.node for record in found) == sorted(wanted)
    assert sum(record.base is not None for record in found) > len(found) // 2
    lines = dict(line.split(b"\0") for line in found[0].text.splitlines())
    files = history.files(history.served_nodes()[0])
    assert lines == {path: node.hex().encode() for path, node in files.items()}


def test_an_update_has_deltas_to_parents(made: tuple[History, dict[str, bytes]]) -> None:
    history, nodes = made
    known: dict[bytes, bytes] = {}
    read_all(data(history, *(history.manifest(nodes[name]) for name in ("root", "edit"))), known)
    (record,) = read_all(data(history, history.manifest(nodes["flag"])), known)
    assert record.base in record.parents
    (whole,) = read_all(data(history, history.manifest(nodes["flag"]), have_parents=False))
    assert (whole.base, whole.text) == (None, record.text)
    assert {line[-1:] for line in whole.text.splitlines()} >= {b"x", b"l"}


@pytest.mark.parametrize("have_parents", [False, True])
@pytest.mark.parametrize("nodes", [[], [bytes(20)]])
def test_nothing_but_null_is_a_header_alone(
    made: tuple[History, dict[str, bytes]], nodes: list[bytes], *, have_parents: bool
) -> None:
    assert list(data(made[0], *nodes, have_parents=have_parents)) == [{b"totalitems": 0}]


def test_a_second_one_is_as_the_first(made: tuple[History, dict[str, bytes]]) -> None:
    history, nodes = made
    node = history.manifest(nodes["root"])
    header, _, _, second, delta = data(history, node, node, have_parents=False)
    assert header == {b"totalitems": 2}
    assert (second[b"deltabasenode"], delta) == (node, b"")


def test_a_manifest_shared_with_a_secret_changeset_is_served(
    made: tuple[History, dict[str, bytes]],
) -> None:
    history, nodes = made
    shared = history.manifest(nodes["twin"])
    assert shared == history.manifest(nodes["public twin"])
    (record,) = read_all(data(history, shared, have_parents=False))
    assert record.node == shared


@pytest.mark.parametrize("name", ["secret", "obsolete", "missing"])
def test_a_manifest_that_no_served_changeset_has_is_unknown(
    made: tuple[History, dict[str, bytes]], name: str
) -> None:
    history, nodes = made
    node = history.manifest(nodes[name]) if name in nodes else b"\x11" * 20
    asked = [history.manifest(nodes["public twin"]), node]
    with pytest.raises(CommandError) as caught:
        next(data(history, *asked))
    assert (caught.value.message, caught.value.arguments) == (b"unknown node: %s", (node,))


@pytest.mark.parametrize("node", [b"", b"short", b"\xff" * 20])
def test_what_is_no_node_is_unknown(made: tuple[History, dict[str, bytes]], node: bytes) -> None:
    with pytest.raises(CommandError, match="unknown node"):
        next(data(made[0], node))


def test_a_node_of_another_type_is_refused(made: tuple[History, dict[str, bytes]]) -> None:
    with pytest.raises(CommandError, match="must be byte strings"):
        next(data(made[0], 1))


def test_without_tree_manifests_there_is_only_the_root(
    made: tuple[History, dict[str, bytes]],
) -> None:
    with pytest.raises(CommandError) as caught:
        next(data(made[0], tree=b"dir/"))
    expected = "tree must be empty: the repository has no tree manifests; got dir/"
    assert str(caught.value) == expected


def test_a_folder_has_manifests_of_its_own_with_tree_manifests(tmp_path: Path) -> None:
    history = History(tmp_path / "new", settings={"experimental.treemanifest": "1"})
    root = history.commit(files={b"dir/a": b"1\n"})
    log = history.repo.manifestlog.getstorage(b"dir/").get_revlog()
    (record,) = read_all(data(history, log.node(0), tree=b"dir/", have_parents=False))
    assert record.text == b"a\0%s\n" % history.files(root)[b"dir/a"].hex().encode()
    history.make_secret(root)
    with pytest.raises(CommandError, match="unknown node"):
        next(data(history, log.node(0), tree=b"dir/"))


def test_of_several_manifests_only_those_of_no_served_changeset_are_unknown(tmp_path: Path) -> None:
    new = History(tmp_path / "new")
    root = new.commit(files={b"a": b"1\n"})
    secret = [new.commit(root, files={b"b": b"%d\n" % number}) for number in range(6)]
    shown = [new.commit(root, files={b"b": b"%d\n" % number}) for number in range(5)]
    new.make_secret(*secret)
    nodes = list(map(new.manifest, shown))
    assert next(data(new, *nodes)) == {b"totalitems": 5}
    with pytest.raises(CommandError) as caught:
        next(data(new, *nodes, new.manifest(secret[-1])))
    assert caught.value.arguments == (new.manifest(secret[-1]),)
