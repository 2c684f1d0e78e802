"""Changes to a repository after which something of it is served no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.repositories import run_hg

if TYPE_CHECKING:
    from pathlib import Path


def made_secret(repository: Path) -> None:
    """Make the newest head secret."""
    run_hg("phase", "--secret", "-f", "-r", "last(heads(not secret()))", folder=repository)


def stripped(repository: Path) -> None:
    """Strip the newest head."""
    revision = "last(heads(not secret()))"
    run_hg(
        "--config", "extensions.strip=", "strip", "--no-backup", "-r", revision, folder=repository
    )
