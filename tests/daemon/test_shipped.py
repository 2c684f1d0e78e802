from __future__ import annotations

from pathlib import Path

import pytest

from wiredaemon.daemon.shipped import CONFIGURATION, EXAMPLE_COMMANDS, shipped


@pytest.mark.parametrize("name", [CONFIGURATION, EXAMPLE_COMMANDS])
def test_the_text_is_that_of_the_file_under_conf(name: str) -> None:
    conf = Path(__file__).resolve().parents[2] / "conf"
    assert shipped(name) == (conf / name).read_text("utf-8")


def test_a_file_that_is_not_shipped_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"nosuch\.toml"):
        shipped("nosuch.toml")
