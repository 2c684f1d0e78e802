"""Every input of the corpora, without a fuzzer: what was a finding once stays none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from fuzz.__main__ import CORPORA
from fuzz.seeds import inputs
from fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

INPUTS: Final = sorted(path for path in CORPORA.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_input_is_no_finding(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_each_target_has_a_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


def test_the_seeds_are_those_that_the_peer_writes() -> None:
    for target, name, data in inputs():
        assert (CORPORA / target / name).read_bytes() == data


@pytest.mark.parametrize("name", sorted(TARGETS))
@pytest.mark.parametrize("data", [b"", b"\0", bytes(64), bytes(range(256)), b"\xff" * 600])
def test_inputs_of_no_shape_are_no_findings(name: str, data: bytes) -> None:
    TARGETS[name](data)
