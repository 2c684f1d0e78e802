"""The table of tests in CONTRIBUTING.md names every module that has no test of its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "wiredaemon"


def rows() -> list[str]:
    """The rows of the table: modules on the left, tests on the right."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("| module | tested in |\n")[2].partition("\n\n")[0]
    return table.splitlines()[1:]


def own_test(module: Path) -> Path:
    return ROOT / "tests" / module.parent / f"test_{module.name}"


def test_every_module_has_a_test_of_its_name_or_a_row() -> None:
    named = {name for row in rows() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}
    modules = (file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py"))
    assert [
        module.as_posix()
        for module in sorted(modules)
        if not module.name.startswith("__")
        and not own_test(module).exists()
        and named.isdisjoint({module.as_posix(), f"{module.parent.as_posix()}/"})
    ] == []


def test_what_a_row_names_is_there() -> None:
    names = [name for row in rows() for name in re.findall(r"`([^`]+)`", row)]
    places = (ROOT, PACKAGE)
    assert names
    assert [name for name in names if not any((where / name).exists() for where in places)] == []
