"""The site of the documents, as `make docs` makes it, and how a reader may have it shown."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from support.time_limit import unlimited

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(
    file.relative_to(DOCS).with_suffix("").as_posix() for file in DOCS.rglob("*.md")
)
"""The names of all pages, for instance ``spec/framing``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A window that a page is looked at in."""

    scheme: str
    """``light`` or ``dark``, as the reader's system says."""
    width: int
    height: int = 900


DESKTOP: Final = 1280
PHONE: Final = 390
VIEWS: Final = tuple(
    View(scheme=scheme, width=width) for scheme in ("light", "dark") for width in (DESKTOP, PHONE)
)


def make_site(folder: Path) -> Path:
    """Make the site in an empty folder, and return the folder of its pages.

    Raises:
        AssertionError: There was a warning; the text is all that Sphinx has printed.
    """
    made = folder / "made"
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going"),
            *("-d", str(folder / "read"), "docs", str(made)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (0, "")
    return made


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made once for all tests of a run, by the first process that needs it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    where = shared / "site"
    with unlimited(), (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not where.exists():
            # Under its name it is whole.
            make_site(tmp_path_factory.mktemp("site")).rename(where)
    return where
