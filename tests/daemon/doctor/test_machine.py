from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from wiredaemon.daemon.config import Config, Data
from wiredaemon.daemon.doctor.finding import Level
from wiredaemon.daemon.doctor.machine import LEAST_ROOM, examine_machine, existing
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PETABYTE = 1 << 50


def config_of(tmp_path: Path, **limits: int) -> Config:
    return Config(
        data=Data(folder=tmp_path / "data"),
        paths={"/": tmp_path},
        limits=replace(Limits(), **limits),
    )


def test_a_cache_that_is_larger_than_the_disk_is_a_warning(tmp_path: Path) -> None:
    config = config_of(tmp_path, cache_size=PETABYTE, worker_spool=0)
    data, temporary, _ = examine_machine(config)
    assert (data.area, data.level) == ("data.folder", Level.WARNING)
    assert f"are free for {tmp_path / 'data'}, where cache_size and cache_clones" in data.text
    assert temporary.level is Level.FINE


def test_what_the_cache_holds_already_needs_no_more_room(tmp_path: Path) -> None:
    kept = tmp_path / "data" / "cache" / "clones" / "one"
    kept.parent.mkdir(parents=True)
    with kept.open("wb") as file:
        file.truncate(1 << 42)  # a hole: it takes no room
    data, *_ = examine_machine(config_of(tmp_path, cache_size=1 << 42, cache_clones=0))
    assert data.level is Level.FINE


def test_temporary_files_are_looked_at_too(tmp_path: Path) -> None:
    _, temporary, _ = examine_machine(config_of(tmp_path, worker_spool=PETABYTE))
    assert (temporary.area, temporary.level) == ("temporary files", Level.WARNING)


def test_a_disk_that_is_nearly_full_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No test fills the disk of the machine that it runs on.
    usage = shutil.disk_usage(tmp_path)._replace(free=LEAST_ROOM - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    data, _ = examine_machine(Config(data=Data(folder=tmp_path)))
    assert data.level is Level.ERROR
    assert data.text.startswith("64.0 MiB are free")


def test_more_connections_than_descriptors_are_a_warning_with_the_number(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    many = (1 << 40) if hard == resource.RLIM_INFINITY else hard
    *_, descriptors = examine_machine(config_of(tmp_path, connections=many))
    if hard == resource.RLIM_INFINITY:
        assert descriptors.level is Level.FINE
    else:
        assert (descriptors.area, descriptors.level) == ("limits.connections", Level.WARNING)
        assert f"LimitNOFILE={many + 256}" in descriptors.remedy


def test_the_nearest_folder_that_is_there_is_found(tmp_path: Path) -> None:
    assert existing(tmp_path / "a" / "b") == tmp_path
    assert existing(tmp_path) == tmp_path
