"""What of Mercurial is imported, and where."""

from __future__ import annotations

import ast
from pathlib import Path

import wiredaemon.worker


def names_mercurial(module: Path) -> bool:
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Import(names=names):
                found = [name.name for name in names]
            case ast.ImportFrom(module=str() as name):
                found = [name]
            case _:
                continue
        if any(name.partition(".")[0] == "mercurial" for name in found):
            return True
    return False


def test_only_the_library_and_programs_of_their_own_name_mercurial() -> None:
    folder = Path(wiredaemon.worker.__path__[0])
    naming = {module.name for module in folder.glob("*.py") if names_mercurial(module)}
    assert naming == {"library.py", "create.py", "hgweb_config.py"}
