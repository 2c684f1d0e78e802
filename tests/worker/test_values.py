from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from wiredaemon.worker import values
from wiredaemon.worker.failures import Refusal
from wiredaemon.worker.opening import open_repository, served

if TYPE_CHECKING:
    from worker.conftest import Repository

    from wiredaemon.worker import library_types

NULL = bytes(20)
WORKING_FOLDER = b"\xff" * 20


@pytest.fixture
def view(history: Repository) -> library_types.Repository:
    return served(open_repository(history.path))


@pytest.fixture
def empty_view(empty: Repository) -> library_types.Repository:
    return served(open_repository(empty.path))


def test_heads_are_those_served_newest_first(
    history: Repository, view: library_types.Repository
) -> None:
    assert values.heads(view) == [history.nodes[7], history.nodes[6]]


def test_public_heads_leave_out_drafts(history: Repository, view: library_types.Repository) -> None:
    assert values.heads(view, publiconly=True) == [history.nodes[6], history.nodes[4]]


@pytest.mark.parametrize("publiconly", [False, True])
def test_the_head_of_an_empty_repository_is_the_null_node(
    empty_view: library_types.Repository, *, publiconly: bool
) -> None:
    assert values.heads(empty_view, publiconly=publiconly) == [NULL]


def test_known_tells_served_changesets_from_others(
    history: Repository, view: library_types.Repository
) -> None:
    asked = [history.nodes[0], b"\x11" * 20, history.nodes[7], history.nodes[8], WORKING_FOLDER]
    assert values.known(view, asked) == b"10100"


def test_known_of_no_nodes_is_no_bytes(view: library_types.Repository) -> None:
    assert values.known(view, []) == b""


def test_known_refuses_what_cannot_be_a_node(view: library_types.Repository) -> None:
    with pytest.raises(Refusal) as caught:
        values.known(view, [b"deadbeef"])
    assert caught.value.text == b"a node has 20 bytes, not 8"


def test_branches_have_their_heads_closed_ones_too(
    history: Repository, view: library_types.Repository
) -> None:
    assert values.branchmap(view) == {
        "café".encode(): [history.nodes[3]],
        b"default": [history.nodes[7]],
        b"finished": [history.nodes[6]],
    }


def test_the_heads_of_a_branch_come_oldest_first(history: Repository) -> None:
    history.hg("update", "-r", "1")
    newest = history.commit("other")
    view = served(open_repository(history.path))
    assert values.branchmap(view)[b"default"] == [history.nodes[7], newest]


def test_an_empty_repository_has_no_branches(empty_view: library_types.Repository) -> None:
    assert values.branchmap(empty_view) == {}


def test_the_namespaces_are_those_of_the_second_seed(empty_view: library_types.Repository) -> None:
    assert values.listkeys(empty_view, b"namespaces") == {
        b"bookmarks": b"",
        b"namespaces": b"",
        b"phases": b"",
    }


def test_obsolescence_is_a_namespace_where_it_is_exchanged(empty: Repository) -> None:
    empty.hgrc.write_text("[experimental]\nevolution = all\n")
    view = served(open_repository(empty.path))
    assert list(values.listkeys(view, b"namespaces")) == [
        b"bookmarks",
        b"namespaces",
        b"obsolete",
        b"phases",
    ]
    assert values.listkeys(view, b"obsolete") == {}


def test_bookmarks_of_secret_changesets_are_not_listed(
    history: Repository, view: library_types.Repository
) -> None:
    assert values.listkeys(view, b"bookmarks") == {
        b"main": history.hex(4),
        "naïve".encode(): history.hex(1),
    }


def test_a_bookmark_stored_as_latin_1_is_listed_as_utf_8(empty: Repository) -> None:
    node = empty.commit("a")
    file = empty.folder / ".hg" / "bookmarks"
    file.write_bytes(node.hex().encode() + b" caf\xe9\n")
    view = served(open_repository(empty.path))
    assert values.listkeys(view, b"bookmarks") == {"café".encode(): node.hex().encode()}


def test_phases_list_draft_roots_and_publishing(
    history: Repository, view: library_types.Repository
) -> None:
    assert values.listkeys(view, b"phases") == {history.hex(7): b"1", b"publishing": b"True"}


def test_a_repository_that_does_not_publish_lists_no_publishing(history: Repository) -> None:
    history.hgrc.write_text("[phases]\npublish = false\n")
    view = served(open_repository(history.path))
    assert values.listkeys(view, b"phases") == {history.hex(7): b"1"}


def test_the_phases_of_an_empty_repository_are_publishing(
    empty_view: library_types.Repository,
) -> None:
    assert values.listkeys(empty_view, b"phases") == {b"publishing": b"True"}


@pytest.mark.parametrize("namespace", [b"nothing", b"", b"\xff"])
def test_an_unknown_namespace_has_no_keys(view: library_types.Repository, namespace: bytes) -> None:
    assert values.listkeys(view, namespace) == {}


@pytest.mark.parametrize(
    ("key", "revision"),
    [
        (b"main", 4),
        ("naïve".encode(), 1),
        (b"na\xefve", 1),
        (b"release", 0),
        (b"here", 1),
        ("café".encode(), 3),
        (b"caf\xe9", 3),
        (b"finished", 6),
        (b"default", 7),
        (b"tip", 7),
        (b".", 7),
        (b"2", 2),
    ],
)
def test_a_name_is_looked_up(
    history: Repository, view: library_types.Repository, key: bytes, revision: int
) -> None:
    assert values.lookup(view, key) == history.nodes[revision]


@pytest.mark.parametrize("length", [12, 40])
def test_a_hash_or_its_beginning_is_looked_up(
    history: Repository, view: library_types.Repository, length: int
) -> None:
    assert values.lookup(view, history.hex(5)[:length]) == history.nodes[5]


def test_null_is_looked_up(view: library_types.Repository) -> None:
    assert values.lookup(view, b"null") == NULL


@pytest.mark.parametrize("key", [b"tip", b"."])
def test_the_tip_of_an_empty_repository_is_null(
    empty_view: library_types.Repository, key: bytes
) -> None:
    assert values.lookup(empty_view, key) == NULL


@pytest.mark.parametrize(
    "key",
    [
        b"zz",
        b"",
        b"99",
        b"2147483647",
        b"f" * 40,
        b"1" * 40,
        b"0:2",
        b"all()",
        b"tip^",
        b"hidden",
        b"8",
        b"a\x00b",
    ],
)
def test_what_is_not_served_is_an_unknown_revision(
    view: library_types.Repository, key: bytes
) -> None:
    with pytest.raises(Refusal) as caught:
        values.lookup(view, key)
    assert caught.value.text == b"unknown revision '%s'" % key


def test_the_hash_of_a_secret_changeset_is_an_unknown_revision(
    history: Repository, view: library_types.Repository
) -> None:
    with pytest.raises(Refusal) as caught:
        values.lookup(view, history.hex(8))
    assert caught.value.text == b"unknown revision '%s'" % history.hex(8)


def test_a_checked_out_secret_changeset_is_an_unknown_revision(history: Repository) -> None:
    history.hg("update", "-r", "8")
    with pytest.raises(Refusal) as caught:
        values.lookup(served(open_repository(history.path)), b".")
    assert caught.value.text == b"unknown revision '.'"


def test_a_binary_node_is_never_found(history: Repository, view: library_types.Repository) -> None:
    with pytest.raises(Refusal, match="unknown revision"):
        values.lookup(view, history.nodes[0])


def test_an_ambiguous_beginning_is_said_to_be_so(empty: Repository) -> None:
    empty.hg("debugbuilddag", "+40")
    hashes = empty.hg("log", "-r", "all()", "-T", "{node}\n").split()
    letters = Counter(digits[:1] for digits in hashes if digits[:1].isalpha())
    ((letter, count),) = letters.most_common(1)
    assert count > 1
    with pytest.raises(Refusal) as caught:
        values.lookup(served(open_repository(empty.path)), letter)
    assert caught.value.text == b"ambiguous identifier '%s'" % letter


def test_a_long_key_is_cut_in_the_message(view: library_types.Repository) -> None:
    with pytest.raises(Refusal) as caught:
        values.lookup(view, "é".encode() * 5000 + b"x")
    assert caught.value.text == b"unknown revision '%s...'" % ("é".encode() * 100)


def test_without_a_manifest_there_are_no_clone_bundles(view: library_types.Repository) -> None:
    assert values.clonebundles(view) == b""


def test_clone_bundles_are_the_content_of_the_manifest(
    history: Repository, view: library_types.Repository
) -> None:
    manifest = b"https://example.org/a.hg BUNDLESPEC=gzip-v2\n"
    (history.folder / ".hg" / "clonebundles.manifest").write_bytes(manifest)
    assert values.clonebundles(view).rstrip(b"\n") + b"\n" == manifest


def test_version_1_capabilities_are_sorted_tokens(empty_view: library_types.Repository) -> None:
    tokens = values.capabilities_v1(empty_view).split(b" ")
    assert tokens == sorted(tokens)
    assert {
        b"batch",
        b"branchmap",
        b"changegroupsubset",
        b"compression=zstd,zlib",
        b"getbundle",
        b"httpheader=1024",
        b"httpmediatype=0.1rx,0.1tx,0.2tx",
        b"known",
        b"lookup",
        b"pushkey",
        b"unbundle=HG10GZ,HG10BZ,HG10UN",
        b"unbundlehash",
    } < set(tokens)
