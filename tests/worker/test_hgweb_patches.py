"""What Mercurial's web application would say too much of, or not understand."""

from __future__ import annotations

import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from mercurial import phases
from support.histories import History

from wiredaemon.commands import Permission
from wiredaemon.repository.web_calls import WebRequest
from wiredaemon.repository.worker_calls import CallContext
from wiredaemon.worker.library import streamclone
from wiredaemon.worker.opening import KeptRepository
from wiredaemon.worker.web import web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.conftest import Repository


# Mercurial leaves files to the garbage collector, and its templates are full of the other.
pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]


class NoBody:
    def read(self, _size: int = -1) -> bytes:
        return b""


@pytest.fixture
def ask(history: Repository) -> Iterator[Any]:
    kept = KeptRepository(history.path)

    def asked(path: bytes, query: bytes) -> tuple[int, bytes]:
        request = WebRequest(
            method=b"GET", path_info=path, query=query, server_name=b"test", server_port=80
        )
        context = CallContext(repository=history.path, permission=Permission.RO)
        head, *pieces = web(kept, context, request=request, body=NoBody())
        body = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        match head:
            case {b"status": int() as status}:
                return status, body
        raise AssertionError(head)

    yield asked
    kept.close()


SECRET = 8
"""Its number in ``HISTORY``."""
MISSING = b"12" * 20


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (b"", b"cmd=lookup&key=%s"),
        (b"/rev/%s", b"style=raw"),
        (b"/file/%s", b"style=raw"),
        (b"/raw-file/%s/a", b""),
        (b"/log", b"style=raw&rev=%s"),
    ],
)
def test_a_secret_changeset_is_as_unknown_as_a_missing_one(
    ask: Any, history: Repository, path: bytes, query: bytes
) -> None:
    def about(node: bytes) -> tuple[int, bytes]:
        status, text = ask(path.replace(b"%s", node), query.replace(b"%s", node))
        return status, text.replace(node, b"NODE")

    assert about(history.hex(SECRET)) == about(MISSING)
    assert about(history.hex(1)) != about(MISSING)


def test_the_number_of_a_secret_changeset_is_as_unknown_as_one_too_many(ask: Any) -> None:
    status, text = ask(b"/rev/8", b"style=raw")
    assert (status, text.replace(b"'8'", b"'888'")) == ask(b"/rev/888", b"style=raw")


@pytest.mark.parametrize("name", [b"f" * 40, b"f" * 12, b"2147483647"])
def test_what_is_in_the_working_directory_is_nobodys_business(
    ask: Any, history: Repository, name: bytes
) -> None:
    (history.folder / "0").write_text("not committed")
    status, text = ask(b"/raw-file/%s/0" % name, b"")
    assert status == 404
    assert b"not committed" not in text
    assert ask(b"/rev/" + name, b"style=raw")[0] == 404


def test_a_file_is_not_shown_by_the_node_of_its_revision(ask: Any, history: Repository) -> None:
    # That of the secret changeset: whoever knows its content knows its node.
    (name,) = history.hg("log", "-r", str(SECRET), "-T", "{files}").split()
    lines = history.hg("manifest", "--debug", "-r", str(SECRET)).splitlines()
    (node,) = [line.split()[0] for line in lines if line.endswith(b" " + name)]
    assert ask(b"/raw-file/%s/%s" % (node, name), b"")[0] == 404
    assert ask(b"", b"cmd=file&style=raw&filenode=%s&file=%s" % (node, name))[0] == 404


def test_names_that_are_not_ascii_are_understood_in_queries(ask: Any, history: Repository) -> None:
    status, text = ask(b"", b"cmd=lookup&key=caf%C3%A9")
    assert (status, text) == (200, b"1 %s\n" % history.hex(3))
    assert ask(b"/log", b"style=raw&rev=caf%C3%A9")[0] == 200


def test_what_is_checked_out_is_unknown_while_it_is_secret(ask: Any, history: Repository) -> None:
    history.hg("update", "-r", str(SECRET))
    status, text = ask(b"/json-log/.", b"")
    assert status == 404
    assert history.hex(SECRET)[:12] not in text
    assert ask(b"/rev/.", b"")[0] == 404


@pytest.mark.parametrize(
    "query",
    [b"wdir()", b"rev(2147483647)", b"_rev(2147483647)", b"id(ffffffff)", b"p1(wdir())"],
)
def test_a_search_does_not_find_the_working_directory(
    ask: Any, history: Repository, query: bytes
) -> None:
    history.hg("branch", "not-yet-committed")
    status, text = ask(b"/json-log", b"rev=" + query.replace(b" ", b"+"))
    assert status == 200
    assert b"not-yet-committed" not in text
    assert b'"entries": []' in text


def test_a_search_finds_revisions_by_number_and_by_the_beginning_of_their_node(
    ask: Any, history: Repository
) -> None:
    for query in (b"rev(1)", b"id(%s)" % history.hex(1)[:12]):
        assert history.hex(1) in ask(b"/json-log", b"rev=" + query)[1]


def test_the_history_of_a_file_that_only_a_secret_changeset_has_is_not_shown(
    ask: Any, history: Repository
) -> None:
    # The file must be older than a changeset that is shown.
    history.hg("update", "-r", "7")
    shown = history.commit("9").hex().encode()
    status, text = ask(b"/filelog/%s/8" % shown, b"")
    assert (status, text.replace(b"8@", b"x@")) == ask(b"/filelog/%s/x" % shown, b"")
    assert status == 404


def test_the_history_of_a_file_that_was_removed_is_shown(ask: Any, history: Repository) -> None:
    history.hg("remove", str(history.folder / "0"))
    removing = history.commit("9").hex().encode()
    status, text = ask(b"/filelog/%s/0" % removing, b"")
    assert status == 200
    assert history.hex(0)[:12] in text


def test_the_pages_of_a_file_do_not_lead_to_secret_changesets(
    ask: Any, history: Repository
) -> None:
    def commit_file(text: str) -> bytes:
        (history.folder / "file").write_text(text)
        return history.commit(f"with {text}").hex().encode()

    first = commit_file("first")
    history.hg("phase", "--force", "--secret", "-r", "tip")
    history.hg("update", "-r", "7")
    shown, again = commit_file("shown"), commit_file("shown again")
    child = commit_file("child")
    history.hg("phase", "--force", "--secret", "-r", "tip")

    for page in (b"file", b"annotate", b"diff", b"json-annotate", b"filelog"):
        status, text = ask(b"/%s/%s/file" % (page, shown), b"")
        assert status == 200
        assert first[:12] not in text
        if page != b"filelog":
            assert again[:12] in text
        assert child[:12] not in ask(b"/%s/%s/file" % (page, again), b"")[1]


@pytest.mark.parametrize(
    "outside", [b"%s/bundle-cache-2/file", b"../requires", b"../bundle-cache-2/file"]
)
def test_files_outside_of_the_cached_bundles_are_not_there(
    ask: Any, history: Repository, outside: bytes
) -> None:
    for name in ("bundle-cache", "bundle-cache-2"):
        (history.folder / ".hg" / name).mkdir()
        (history.folder / ".hg" / name / "file").write_text("content")
    path = outside.replace(b"%s", history.path + b"/.hg")

    refused = ask(b"", b"cmd=get_cached_bundle_inline&path=" + path)
    assert refused == ask(b"", b"cmd=get_cached_bundle_inline&path=no")
    assert refused[0] == 400
    sent = zlib.decompress(ask(b"", b"cmd=get_cached_bundle_inline&path=file")[1])
    assert sent.endswith(b"content")


@pytest.mark.parametrize("name", [b"missing.css", b"/a", b"./a"])
def test_files_that_cannot_be_static_are_not_there(ask: Any, name: bytes) -> None:
    assert ask(b"/static/" + name, b"")[0] == 404


def test_the_index_of_the_help_is_shown(ask: Any) -> None:
    status, text = ask(b"/help", b"")
    assert status == 200
    assert b"clone" in text


def test_archived_changesets_forbid_to_give_the_store_as_it_is(tmp_path: Path) -> None:
    new = History(tmp_path / "new", settings={"format.exp-archived-phase": "yes"})
    root = new.commit(files={b"a": b"1\n"})
    archived = new.commit(root, files={b"a": b"2\n"})
    assert streamclone.allowservergeneration(new.view())
    with new.repo.lock(), new.repo.transaction(b"test") as transaction:
        phases.retractboundary(new.repo, transaction, phases.archived, [archived])
    assert not streamclone.allowservergeneration(new.view())


IMPORTED = """
import wiredaemon.worker.commands
from wiredaemon.worker.hgweb_patches import apply_patches
from wiredaemon.worker.library import phases, revset, scmutil, webutil

def found():
    return [phases.hassecret, revset.symbols[b"id"], scmutil.revsymbol, webutil.filectx]

before = found()
assert not hasattr(scmutil.revsymbol, "__wrapped__")
apply_patches()
once = found()
assert not any(old is new for old, new in zip(before, once))
apply_patches()
assert found() == once
"""


def test_the_library_is_patched_by_the_call_alone_and_once() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], check=True, timeout=60)
