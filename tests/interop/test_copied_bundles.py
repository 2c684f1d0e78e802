"""Clones of unmodified clients that fetch a bundle from another server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from support.accounts import write_htpasswd
from support.environment import LOOPBACK
from support.hg import HG7, copy_repository
from support.links import fetch
from support.objects import object_store
from support.repositories import run_hg, write_hgrc
from support.served import Served

if TYPE_CHECKING:
    from pathlib import Path

    from interop.conftest import Generated
    from support.hg import Hg


UPLOADED: Final = r"a bundle of \d+ bytes was uploaded to redirect target here"
MADE: Final = r"a bundle of \S+/%s is kept"
UNPACKED: Final = b"finished applying clone bundle"
PUBLIC: Final = "public"
DRAFTS: Final = "[phases]\npublish = no\n"
ONLY_ANN: Final = "[web]\nallow_read = ann\n"
CLOSED: Final = "closed"
"""One that not everybody may read."""


def test_clients_are_told_of_copies_of_what_everybody_may_read(
    hg6: Hg, short: Generated, tmp_path: Path
) -> None:
    folders = {name: copy_repository(short.folder, tmp_path / name) for name in (PUBLIC, CLOSED)}
    for name, repository in folders.items():
        write_hgrc(repository, DRAFTS + (ONLY_ANN if name == CLOSED else ""))
    write_htpasswd(tmp_path / "htpasswd", ann="secret")
    with object_store() as store:
        tables = (
            f"[auth]\nhtpasswd = {json.dumps(str(tmp_path / 'htpasswd'))}\n"
            f"[[redirect.targets]]\nname = 'here'\nurl = '{store.url}'\n"
            f"upload = 'put:{store.url}'\nmin_size = 1\nbundles = true\nsni_required = true\n"
        )
        with Served.start(folders, tmp_path, tables=tables) as served:

            def clone(name: str, target: str, hg: Hg = HG7) -> bytes:
                url = served.url(name).replace("://", "://ann:secret@")
                output = hg.run("clone", "--noupdate", url, target, folder=tmp_path)
                HG7.verify(tmp_path / target)
                found, wanted = HG7.view(tmp_path / target), HG7.view(folders[name], "not secret()")
                assert (found.changesets, found.heads) == (wanted.changesets, wanted.heads)
                return output

            for name in folders:
                clone(name, f"first of {name}")
            served.daemon.wait_for_log(MADE % CLOSED)
            served.daemon.wait_for_log(UPLOADED)
            (stored,) = store.objects
            for repository in folders.values():
                # From here on the answer that was kept above is not the right one any more.
                run_hg("bookmark", "-r", "1", "one more", folder=repository)
            _, manifest = fetch(LOOPBACK, served.daemon.port(), f"/{PUBLIC}?cmd=clonebundles")
            copy = f"http://127.0.0.1:{store.server_address[1]}{stored} "
            assert manifest.startswith(copy)
            assert manifest.splitlines()[0].endswith(" REQUIRESNI=true")
            assert UNPACKED in clone(PUBLIC, "by 7.2")
            assert UNPACKED in clone(PUBLIC, "by 6.0.3", hg6)
            assert store.fetched() == [stored] * 2
            # Copies are where everybody may fetch them.
            assert UNPACKED in clone(CLOSED, "by 7.2 of closed")
            # Nobody is told of a copy of something that is served no more.
            head = "last(heads(not secret()))"
            run_hg("phase", "--secret", "-f", "-r", head, folder=folders[PUBLIC])
            clone(PUBLIC, "the rest")
            assert store.fetched() == [stored] * 2
            assert list(store.objects) == [stored]
