"""An hgrc that cannot be read or understood: nothing is served until it can, for it may forbid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from faults.conftest import OPEN, Work, ask, make_work
from support.mounts import without_root_rights
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

UNAVAILABLE: Final = "the repository is not available; the server's log says why"


def replaced_by(content: bytes) -> Callable[[Path], None]:
    def replace(hgrc: Path) -> None:
        new = hgrc.with_name("new")
        new.write_bytes(content)
        new.replace(hgrc)

    return replace


def forbid(hgrc: Path) -> None:
    hgrc.chmod(0)


def make_folder(hgrc: Path) -> None:
    hgrc.unlink()
    hgrc.mkdir()


def make_loop(hgrc: Path) -> None:
    hgrc.unlink()
    hgrc.symlink_to(hgrc)


def restore(hgrc: Path) -> None:
    if hgrc.is_dir() and not hgrc.is_symlink():
        hgrc.rmdir()
    else:
        hgrc.unlink()
    hgrc.write_text(OPEN)


SPOILED: Final = {
    "forbidden": (forbid, "hgrc: Permission denied"),
    "folder": (make_folder, "hgrc: Is a directory"),
    "loop": (make_loop, "hgrc: Too many levels of symbolic links"),
    "syntax": (
        replaced_by(b"[web]\nallow_read = ann\nwhat is this\n"),
        "hgrc:3: not understood: 'what is this'",
    ),
    "UTF-16": (
        replaced_by("[web]\nallow_read = ann\n".encode("utf-16-le")),
        "hgrc:3: not understood: '\\x00'",
    ),
    "value": (replaced_by(b"[web]\npush_ssl = ja\xff\n"), "push_ssl is not a boolean"),
}


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Work]:
    """A repository for each."""
    return {name: make_work(tmp_path_factory.mktemp(name)) for name in SPOILED}


@pytest.fixture(scope="module")
def served(works: Mapping[str, Work], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folders = {name: work.repository for name, work in works.items()}
    within = without_root_rights()
    with Served.start(folders, tmp_path_factory.mktemp("daemon"), within=within) as running:
        yield running


@pytest.mark.parametrize("name", SPOILED)
def test_a_repository_whose_hgrc_cannot_be_used_is_not_served_until_it_can(
    works: Mapping[str, Work], served: Served, name: str
) -> None:
    work = works[name]
    spoil, reason = SPOILED[name]
    hgrc = work.repository / ".hg" / "hgrc"
    url = served.url(name)
    with served.daemon.connect() as connection:
        assert ask(connection, "heads", repository=name).status == 200
        after = served.lines_logged()
        spoil(hgrc)
        for _ in range(2):
            assert f"HTTP Error 503: {UNAVAILABLE}" in work.refused(url)
            response = ask(connection, "heads", repository=name)
            assert (response.status, response.body) == (503, f"{UNAVAILABLE}\n".encode())
        restore(hgrc)
        assert len(work.read(url)) == 1
        work.push(url)
        lines = served.daemon.log.splitlines()[after:]
        said = [line for line in lines if str(hgrc) in line]
        assert len(said) == 1
        assert reason in said[0]
        assert sum("is available again" in line for line in lines) == 1
        assert not any("Traceback" in line for line in lines)


def test_an_hgrc_in_another_encoding_is_read_as_mercurial_reads_it(
    tmp_path: Path, work: Work
) -> None:
    hgrc = work.repository / ".hg" / "hgrc"
    with (
        Served.start({"r": work.repository}, tmp_path) as served,
        served.daemon.connect() as connection,
    ):
        latin = f"{OPEN}description = caf\xe9\n".encode("latin-1")
        replaced_by(latin)(hgrc)
        assert len(work.read(served.url("r"))) == 1
        # Whoever such a name is meant for: nobody else.
        replaced_by(latin + b"allow_read = jos\xe9\n")(hgrc)
        assert ask(connection, "heads").status == 401
        # A mark of byte order, as some editors put in front.
        replaced_by(b"\xef\xbb\xbf" + latin + b"allow_read = ann\n")(hgrc)
        assert ask(connection, "heads").status == 401
        assert "Traceback" not in served.daemon.log
