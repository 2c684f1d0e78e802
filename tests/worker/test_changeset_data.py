from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.histories import History, varied
from support.replica import read_all

from wiredaemon.worker.changeset_data import changesetdata
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.opening import open_repository, served

if TYPE_CHECKING:
    from pathlib import Path

    from worker.conftest import Repository


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[str, bytes]]:
    return varied(tmp_path_factory.mktemp("varied") / "history")


def everything(history: History) -> list[Any]:
    heads = list(history.view().heads())
    return [{b"type": b"changesetdagrange", b"roots": [], b"heads": heads}]


def data(history: History, *fields: bytes, revisions: list[Any] | None = None) -> list[Any]:
    asked = everything(history) if revisions is None else revisions
    return list(changesetdata(history.view(), revisions=asked, fields=frozenset(fields)))


def test_a_clone_has_all_that_is_served_and_nothing_else(
    made: tuple[History, dict[str, bytes]],
) -> None:
    history, _ = made
    found = read_all(data(history, b"parents", b"revision"))
    assert [record.node for record in found] == history.served_nodes()


def test_the_text_is_that_of_the_store(made: tuple[History, dict[str, bytes]]) -> None:
    history, nodes = made
    (record,) = read_all(
        data(
            history,
            b"parents",
            b"revision",
            revisions=[{b"type": b"changesetexplicit", b"nodes": [nodes["side"]]}],
        )
    )
    manifest = history.manifest(nodes["side"]).hex()
    expected = f"{manifest}\ntést\n7 0 branch:sidé\ndir/f1\n\ncommit 7"
    assert record.text.decode() == expected


def test_phases_and_bookmarks_are_those_of_the_view(
    made: tuple[History, dict[str, bytes]],
) -> None:
    history, nodes = made
    header, *records = data(history, b"phase", b"bookmarks")
    assert header == {b"totalitems": len(history.served_nodes())}
    by_node = {record[b"node"]: record for record in records}
    assert by_node[nodes["root"]] == {
        b"node": nodes["root"],
        b"phase": b"public",
        b"bookmarks": [b"another", "märk".encode()],
    }
    assert by_node[nodes["head"]][b"phase"] == b"draft"
    assert by_node[nodes["head"]][b"bookmarks"] == [b"top"]
    assert b"bookmarks" not in by_node[nodes["edit"]]


def test_other_bookmarks_follow_and_are_not_counted(
    made: tuple[History, dict[str, bytes]],
) -> None:
    history, nodes = made
    marks = sorted([(nodes["root"], [b"another", "märk".encode()]), (nodes["head"], [b"top"])])
    assert data(history, b"bookmarks", revisions=[]) == [
        {b"totalitems": 0},
        *({b"node": node, b"bookmarks": names} for node, names in marks),
    ]


def test_in_a_repository_that_publishes_all_is_public(history: Repository) -> None:
    view = served(open_repository(history.path))
    asked = [{b"type": b"changesetexplicit", b"nodes": [history.nodes[7]]}]
    assert list(changesetdata(view, revisions=asked, fields=frozenset({b"phase"}))) == [
        {b"totalitems": 1},
        {b"node": history.nodes[7], b"phase": b"public"},
    ]


def test_an_unknown_changeset_is_refused_before_anything_is_sent(
    made: tuple[History, dict[str, bytes]],
) -> None:
    history, nodes = made
    for node in (nodes["secret"], nodes["obsolete"], b"\x11" * 20):
        asked = [{b"type": b"changesetexplicit", b"nodes": [nodes["root"], node]}]
        with pytest.raises(Refusal, match="unknown revision"):
            next(changesetdata(history.view(), revisions=asked, fields=frozenset()))


def test_parents_are_given_as_two(made: tuple[History, dict[str, bytes]]) -> None:
    history, nodes = made
    asked = [{b"type": b"changesetexplicit", b"nodes": [nodes["merge"], nodes["root"]]}]
    _, merge, root = data(history, b"parents", revisions=asked)
    assert merge[b"parents"] == [nodes["again"], nodes["side"]]
    assert root[b"parents"] == [bytes(20), bytes(20)]


def test_an_empty_repository_has_only_a_header(tmp_path: Path) -> None:
    history = History(tmp_path / "empty")
    assert data(history, b"bookmarks", b"phase") == [{b"totalitems": 0}]
