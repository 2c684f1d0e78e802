"""Repositories written changeset by changeset, without a working folder: fast, and any shape."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from mercurial import context, hg, obsolete, phases

from wiredaemon.worker import library, library_types
from wiredaemon.worker.opening import open_repository, served

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NULL: Final = bytes(20)


class History:
    """A repository to which changesets are added; nodes are what it gives and takes."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        ui: Any = library.ui.ui.load()
        self.path = os.fsencode(folder)
        lines = ["[phases]", "publish = false", "[experimental]", "evolution = all"]
        created: Any = hg.repository(self._with(ui, settings), self.path, create=True)
        created.close()
        (folder / ".hg" / "hgrc").write_text("\n".join([*lines, ""]))
        self.repo: Any = hg.repository(ui, self.path).unfiltered()
        self._count = 0

    @staticmethod
    def _with(ui: Any, settings: Mapping[str, str] | None) -> Any:
        for key, value in (settings or {}).items():
            section, _, name = key.partition(".")
            ui.setconfig(section.encode(), name.encode(), value.encode())
        return ui

    def commit(
        self,
        *parents: bytes,
        files: Mapping[bytes, bytes] | None = None,
        removed: Iterable[bytes] = (),
        flags: Mapping[bytes, bytes] | None = None,
        copies: Mapping[bytes, bytes] | None = None,
        branch: str | None = None,
    ) -> bytes:
        """Commit texts over the parents, which are no changeset where not given."""
        texts, gone = dict(files or {}), set(removed)
        first, second = [*parents, NULL, NULL][:2]

        def read(repo: Any, memory: Any, path: bytes) -> Any:
            if path in gone:
                return None
            flag = (flags or {}).get(path, b"")
            return context.memfilectx(
                repo,
                memory,
                path,
                texts[path],
                islink=flag == b"l",
                isexec=flag == b"x",
                copysource=(copies or {}).get(path),
            )

        self._count += 1
        with self.repo.wlock(), self.repo.lock():
            made = context.memctx(
                self.repo,
                (first, second),
                b"commit %d" % self._count,
                [*texts, *gone],
                read,
                "tést".encode(),
                date=b"%d 0" % self._count,
                branch=None if branch is None else branch.encode(),
            )
            return bytes(made.commit())

    def make_secret(self, *nodes: bytes) -> None:
        with self.repo.lock(), self.repo.transaction(b"test") as transaction:
            phases.retractboundary(self.repo, transaction, phases.secret, list(nodes))

    def make_public(self, *nodes: bytes) -> None:
        with self.repo.lock(), self.repo.transaction(b"test") as transaction:
            phases.advanceboundary(self.repo, transaction, phases.public, list(nodes))

    def make_obsolete(self, old: bytes, new: bytes) -> None:
        with self.repo.wlock(), self.repo.lock(), self.repo.transaction(b"test"):
            obsolete.createmarkers(self.repo, [((self.repo[old],), (self.repo[new],))])

    def bookmark(self, name: bytes, node: bytes) -> None:
        with self.repo.wlock(), self.repo.lock(), self.repo.transaction(b"test") as transaction:
            self.repo._bookmarks.applychanges(self.repo, transaction, [(name, node)])

    def files(self, node: bytes) -> dict[bytes, bytes]:
        """Path and file node of all files of a changeset."""
        return {bytes(path): bytes(file) for path, file in self.repo[node].manifest().items()}

    def changed(self, node: bytes) -> list[bytes]:
        return list(map(bytes, self.repo[node].files()))

    def manifest(self, node: bytes) -> bytes:
        return bytes(self.repo[node].manifestnode())

    def parents(self, node: bytes) -> list[bytes]:
        return [bytes(parent.node()) for parent in self.repo[node].parents() if parent.rev() >= 0]

    def view(self) -> library_types.Repository:
        """Its served view, opened anew."""
        return served(open_repository(self.path))

    def served_nodes(self) -> list[bytes]:
        log: Any = self.view().changelog
        return [bytes(log.node(revision)) for revision in log]

    def introducers(self, path: bytes, file: bytes) -> set[bytes]:
        """Served changesets that have the file revision while no parent has."""
        return {
            node
            for node in self.served_nodes()
            if self.files(node).get(path) == file
            and all(self.files(parent).get(path) != file for parent in self.parents(node))
        }


def varied(folder: Path) -> tuple[History, dict[str, bytes]]:
    """All that histories have: merges, copies, removals, flags, names, and what is not served."""
    new = History(folder)
    made: dict[str, bytes] = {}
    texts = {b"dir/f%d" % number: b"line\n" * 50 + b"%d\n" % number for number in range(20)}
    made["root"] = new.commit(files={**texts, b"empty": b"", "naïve".encode(): b"1\n"})
    made["edit"] = new.commit(
        made["root"], files={b"dir/f1": b"edited\n" + texts[b"dir/f1"], b"run": b"#!\n"}
    )
    made["flag"] = new.commit(
        made["edit"], files={b"run": b"#!\n", b"link": b"run"}, flags={b"run": b"x", b"link": b"l"}
    )
    made["remove"] = new.commit(made["flag"], removed=[b"dir/f2", b"empty"])
    made["rename"] = new.commit(
        made["remove"],
        files={b"dir/moved": texts[b"dir/f3"] + b"more\n"},
        removed=[b"dir/f3"],
        copies={b"dir/moved": b"dir/f3"},
    )
    # The same file revision as in the first changeset, in another one.
    made["again"] = new.commit(made["rename"], files={b"dir/f2": texts[b"dir/f2"]})
    made["side"] = new.commit(
        made["edit"], files={b"dir/f1": b"other\n" + texts[b"dir/f1"]}, branch="sidé"
    )
    made["merge"] = new.commit(
        made["again"], made["side"], files={b"dir/f1": b"merged\n" + texts[b"dir/f1"]}
    )
    made["obsolete"] = new.commit(made["merge"], files={b"shared": b"x\n", b"old": b"old\n"})
    made["secret"] = new.commit(made["merge"], files={b"shared": b"x\n", b"hidden": b"s\n"})
    made["twin"] = new.commit(made["merge"], files={b"twin": b"t\n"})
    # The same manifest, and all its files, as the changeset before, which is secret.
    made["public twin"] = new.commit(made["merge"], files={b"twin": b"t\n"})
    made["shared"] = new.commit(made["merge"], files={b"shared": b"x\n"})
    made["head"] = new.commit(made["shared"], files={b"dir/f4": b"4\n"})
    new.make_public(made["merge"])
    new.make_obsolete(made["obsolete"], made["shared"])
    new.make_secret(made["secret"], made["twin"])
    new.bookmark("märk".encode(), made["root"])
    new.bookmark(b"another", made["root"])
    new.bookmark(b"hidden", made["secret"])
    new.bookmark(b"top", made["head"])
    return new, made


def random_history(folder: Path, choose: random.Random, count: int) -> History:
    """Some changesets with much in common, a few of them secret."""
    new = History(folder)
    names = [b"a", b"b", b"dir/a", b"dir/b", b"dir/sub/a", b"dir.c"]
    nodes: list[bytes] = []
    for _ in range(count):
        parents = choose.sample(nodes[-5:], k=min(len(nodes[-5:]), choose.choice([1, 1, 1, 2])))
        if choose.random() < 0.1:
            parents = []
        present = sorted(new.files(parents[0])) if parents else []
        paths = choose.sample(names, choose.randrange(1, 4))
        # Few texts, so that the same revisions come again.
        texts = {path: b"%d\n" % choose.randrange(3) * choose.choice([1, 40]) for path in paths}
        gone = [path for path in present if path not in texts and choose.random() < 0.2]
        copied = {path: choose.choice(present) for path in paths if present and path not in present}
        flags = {path: choose.choice([b"", b"", b"x"]) for path in paths}
        copies = {path: source for path, source in copied.items() if choose.random() < 0.4}
        nodes.append(new.commit(*parents, files=texts, removed=gone, flags=flags, copies=copies))
    secret = [node for node in nodes if choose.random() < 0.15]
    new.make_secret(*secret)
    return new
