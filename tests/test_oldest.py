"""The versions that `make test-oldest` installs are the lower bounds of pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]


def bounds(*requirements: str, operator: str) -> dict[str, str]:
    """The version that stands behind an operator, by distribution."""
    parsed = [Requirement(each) for each in requirements]
    return {
        canonicalize_name(each.name): bound.version
        for each in parsed
        for bound in each.specifier
        if bound.operator == operator
    }


def test_the_oldest_versions_are_those_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = bounds(
        *project["dependencies"],
        *extras["hg"],
        *extras["s3"],
        *extras["completion"],
        *extras["metrics"],
        operator=">=",
    )
    lines = (ROOT / "tests" / "oldest.txt").read_text().splitlines()
    pinned = bounds(*[line for line in lines if line and line[0] != "#"], operator="==")
    assert pinned == named
