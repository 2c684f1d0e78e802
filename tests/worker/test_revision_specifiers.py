from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.commands import CommandError
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.opening import open_repository, served
from wiredaemon.worker.revision_specifiers import MOST_WALKS, resolve
from wiredaemon.worker.served_changesets import ServedChangesets

if TYPE_CHECKING:
    from worker.conftest import Repository

NULL = bytes(20)
UNKNOWN = b"\x11" * 20


def resolved(repository: Repository, *specifiers: Any) -> list[int]:
    view = served(open_repository(repository.path))
    return list(resolve(ServedChangesets(view), specifiers))


def explicit(*nodes: bytes) -> dict[bytes, object]:
    return {b"type": b"changesetexplicit", b"nodes": list(nodes)}


def deep(depth: object, *nodes: bytes) -> dict[bytes, object]:
    return {b"type": b"changesetexplicitdepth", b"nodes": list(nodes), b"depth": depth}


def dag(roots: list[bytes], heads: list[bytes]) -> dict[bytes, object]:
    return {b"type": b"changesetdagrange", b"roots": roots, b"heads": heads}


def test_explicit_changesets_come_in_the_order_given_each_once(history: Repository) -> None:
    nodes = history.nodes
    assert resolved(history, explicit(nodes[3], nodes[1], NULL, nodes[3])) == [3, 1]


def test_depth_counts_generations_and_ascends(history: Repository) -> None:
    nodes = history.nodes
    assert resolved(history, deep(1, nodes[4], nodes[1])) == [1, 4]
    assert resolved(history, deep(2, nodes[4])) == [1, 3, 4]
    assert resolved(history, deep(2**40, nodes[4])) == [0, 1, 2, 3, 4]


def test_a_range_leaves_out_the_ancestors_of_roots(history: Repository) -> None:
    nodes = history.nodes
    assert resolved(history, dag([nodes[3]], [nodes[4], nodes[7]])) == [1, 4, 7]
    assert resolved(history, dag([], [nodes[4]])) == [0, 1, 2, 3, 4]
    assert resolved(history, dag([NULL], [nodes[1]])) == [0, 1]
    assert resolved(history, dag([nodes[7]], [nodes[7]])) == []


def test_only_so_many_walks_through_the_history_can_be_asked_for(history: Repository) -> None:
    node = history.nodes[1]
    many = [dag([], [node]), deep(2, node)] * (MOST_WALKS // 2)
    assert resolved(history, *many, *[explicit(node)] * 1000) == [0, 1]
    with pytest.raises(CommandError) as caught:
        resolved(history, *many, dag([], [node]))
    assert str(caught.value) == ("at most 100 revision specifiers may follow the history, not 101")


def test_unknown_and_secret_roots_are_passed_over(history: Repository) -> None:
    # The secret changeset has all that is asked for as ancestors.
    roots = [UNKNOWN, history.nodes[8]]
    assert resolved(history, dag(roots, [history.nodes[1]])) == [0, 1]


def test_the_null_head_has_no_ancestors(history: Repository, empty: Repository) -> None:
    assert resolved(history, dag([], [NULL])) == []
    assert resolved(empty, dag([], [NULL])) == []


def test_no_heads_at_all_are_what_an_empty_repository_has(
    history: Repository, empty: Repository
) -> None:
    assert resolved(empty, dag([], [])) == []
    with pytest.raises(CommandError, match="heads key in changesetdagrange cannot be empty"):
        resolved(history, dag([], []))


def test_the_union_is_in_the_order_produced(history: Repository) -> None:
    nodes = history.nodes
    assert resolved(history, explicit(nodes[4]), dag([], [nodes[4]])) == [4, 0, 1, 2, 3]


def test_no_specifiers_are_no_changesets(history: Repository) -> None:
    assert resolved(history) == []


def test_other_keys_mean_nothing(history: Repository) -> None:
    assert resolved(history, {**explicit(history.nodes[1]), b"x": 1}) == [1]


@pytest.mark.parametrize("revision", [8, None])
def test_what_is_not_served_is_an_unknown_revision(
    history: Repository, revision: int | None
) -> None:
    node = UNKNOWN if revision is None else history.nodes[revision]
    for specifier in (explicit(node), deep(1, node), dag([], [node])):
        with pytest.raises(Refusal) as caught:
            resolved(history, specifier)
        assert caught.value.text == b"unknown revision '%s'" % node.hex().encode()


@pytest.mark.parametrize(
    ("specifier", "message", "arguments"),
    [
        ({}, b"type key not present in revision specifier", ()),
        ({b"type": b"x"}, b"unknown revision specifier type: %s", (b"x",)),
        (
            {b"type": b"changesetexplicit"},
            b"nodes key not present in changesetexplicit revision specifier",
            (),
        ),
        (
            {b"type": b"changesetexplicitdepth"},
            b"%s key not present in changesetexplicitdepth revision specifier",
            (b"nodes",),
        ),
        (
            {b"type": b"changesetexplicitdepth", b"nodes": []},
            b"%s key not present in changesetexplicitdepth revision specifier",
            (b"depth",),
        ),
        (
            {b"type": b"changesetdagrange"},
            b"%s key not present in changesetdagrange revision specifier",
            (b"roots",),
        ),
        (
            {b"type": b"changesetdagrange", b"roots": []},
            b"%s key not present in changesetdagrange revision specifier",
            (b"heads",),
        ),
    ],
)
def test_a_wrong_specifier_is_refused_in_the_words_of_the_original(
    empty: Repository, specifier: Any, message: bytes, arguments: tuple[bytes, ...]
) -> None:
    with pytest.raises(CommandError) as caught:
        resolved(empty, specifier)
    assert (caught.value.message, caught.value.arguments) == (message, arguments)


@pytest.mark.parametrize(
    ("specifier", "text"),
    [
        (b"x", "a revision specifier must be a map"),
        ({b"type": 1}, "type key in revision specifier must be a byte string"),
        (deep(0), "depth key in changesetexplicitdepth must be at least 1, not 0"),
        (deep(True), "depth key in changesetexplicitdepth must be an integer"),  # noqa: FBT003
        (deep(b"1"), "depth key in changesetexplicitdepth must be an integer"),
        (
            {b"type": b"changesetexplicit", b"nodes": {}},
            "nodes key in changesetexplicit must be an array",
        ),
        (explicit(b"abc"), "nodes key in changesetexplicit: a node has 20 bytes, not 3"),
        (
            dag([b"%s" * 20], [NULL]),
            "roots key in changesetdagrange: a node has 20 bytes, not 40",
        ),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(empty: Repository, specifier: Any, text: str) -> None:
    with pytest.raises(CommandError) as caught:
        resolved(empty, specifier)
    assert str(caught.value) == text
