"""Unmodified `hg` 6.0.3 and answers that were kept, here and elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from support.hg import V2, copy_repository
from support.objects import object_store
from support.served import API, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.conftest import Generated
    from support.hg import Hg

KEPT: Final = r"a response of \d+ bytes is kept"
UPLOADED: Final = r"an answer of \d+ bytes was uploaded"
CACHEABLE: Final = ("manifestdata", "filesdata")


def order(encoding: str) -> tuple[str, str]:
    return ("--config", f"experimental.httppeer.v2-encoder-order={encoding}")


def wait_for(served: Served, pattern: str, *, times: int, after: int = 0) -> None:
    """Wait until as many lines of the log match."""
    for _ in range(times):
        served.daemon.wait_for_log(pattern, after=after)
        lines = served.daemon.log.splitlines()[after:]
        after += next(number for number, line in enumerate(lines, 1) if re.search(pattern, line))


ENCODINGS: Final = ("identity", "zlib", "zstd-8mb")


@pytest.fixture(scope="module")
def served(short: Generated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A daemon with a repository for each encoding."""
    folder = tmp_path_factory.mktemp("kept")
    folders = {name: copy_repository(short.folder, folder / name) for name in ENCODINGS}
    with Served.start(folders, folder) as running:
        yield running


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_second_clone_of_what_was_kept_is_the_same(
    hg6: Hg, served: Served, tmp_path: Path, encoding: str
) -> None:
    url = served.url(encoding)
    after = served.lines_logged()
    hg6.run("clone", "--noupdate", *V2, *order(encoding), url, "first", folder=tmp_path)
    wait_for(served, KEPT, times=2, after=after)
    after = served.lines_logged()
    hg6.run("clone", *V2, *order(encoding), url, "second", folder=tmp_path)
    served.wait_for_request(f"/{encoding}/{API}/ro/filesdata", after=after)
    lines = served.daemon.log.splitlines()[after:]
    assert not any(re.search(KEPT, line) for line in lines)
    hg6.verify(tmp_path / "second")
    assert hg6.view(tmp_path / "second") == hg6.view(tmp_path / "first")


def test_a_clone_follows_redirects(hg6: Hg, short: Generated, tmp_path: Path) -> None:
    repository = copy_repository(short.folder, tmp_path / "repository")
    with object_store() as store:
        target = (
            f"\n[[redirect.targets]]\nname = 'here'\nurl = '{store.url}'\n"
            f"upload = 'put:{store.url}'\nmin_size = 1\n"
        )
        with Served.start({"one": repository}, tmp_path, web=target) as served:
            url = served.url("one")
            hg6.run("clone", "--noupdate", *V2, url, "first", folder=tmp_path)
            assert store.fetched() == []
            wait_for(served, UPLOADED, times=2)
            output = hg6.run("clone", "--debug", *V2, url, "second", folder=tmp_path)
            assert sorted(store.fetched()) == sorted(store.objects)
            assert len(store.objects) == len(CACHEABLE)
            assert b"not supported" in output  # of hashes, which it does not verify
    hg6.verify(tmp_path / "second")
    assert hg6.view(tmp_path / "second") == hg6.view(tmp_path / "first")
