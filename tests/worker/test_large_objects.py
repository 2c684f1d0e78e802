"""Whose caches a repository uses; ``tests/interop/test_large_objects.py`` has the extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.worker import large_objects
from wiredaemon.worker.opening import open_repository

if TYPE_CHECKING:
    from worker.conftest import Repository


@pytest.mark.usefixtures("garbage_of_test_collected")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_opened_repository_has_caches_of_its_own_whatever_its_hgrc_says(
    empty: Repository,
) -> None:
    empty.hgrc.write_text(
        "[largefiles]\nusercache = /elsewhere\n[experimental]\nlfs.disableusercache = no\n"
    )
    repository = open_repository(empty.path)
    for ui in (repository.ui, repository.baseui):
        own = empty.path + b"/.hg/cache/largefiles"
        assert ui.config(b"largefiles", b"usercache") == own
        assert ui.config(b"experimental", b"lfs.disableusercache") == b"true"
    repository.close()


def test_nothing_is_patched_where_neither_extension_is_loaded() -> None:
    large_objects.patch_loaded()
    large_objects.patch_loaded()
