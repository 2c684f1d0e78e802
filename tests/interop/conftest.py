"""What all real clients meet: the programs, one made up repository, and the daemon that serves it.

All of it is made once per run and only read. Tests that write take a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from support.hg import copy_repository
from support.repositories import run_hg, write_hgrc
from support.served import Served

from tools.generated import generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.generated import Summary

CHANGESETS: Final = 800
"""Enough for a changelog and a manifest whose data is in a file of its own."""
SHORT: Final = 300
"""Changesets of histories that are not about size."""

DRAFTS: Final = "[phases]\npublish = no\n"
"""An hgrc whose repository shows drafts as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A made up repository."""

    folder: Path
    summary: Summary


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """A long history with everything in it; nobody may write to it."""
    folder = tmp_path_factory.mktemp("generated") / "repository"
    summary = generate(folder, changesets=CHANGESETS)
    write_hgrc(folder, DRAFTS)
    return Generated(folder=folder, summary=summary)


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """A short history without removals, to be copied by those who write."""
    folder = tmp_path_factory.mktemp("short") / "repository"
    summary = generate(folder, changesets=SHORT, seed=2, removals=False)
    write_hgrc(folder, DRAFTS)
    return Generated(folder=folder, summary=summary)


@pytest.fixture(scope="session")
def served(
    generated: Generated,
    short: Generated,
    certificate: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """The daemon with repositories that nobody writes to.

    `drafts` is the long history, `public` the same published by being served, `open` the part of it
    that is not secret, so that it may be streamed, `short` the short one.
    """
    folder = tmp_path_factory.mktemp("served")
    public = copy_repository(generated.folder, folder / "public")
    write_hgrc(public, "")
    run_hg("clone", "--noupdate", "--pull", str(generated.folder), "open", folder=folder)
    write_hgrc(folder / "open", DRAFTS)
    folders = {
        "drafts": generated.folder,
        "public": public,
        "open": folder / "open",
        "short": short.folder,
    }
    with Served.start(folders, folder, certificate=certificate) as running:
        yield running
