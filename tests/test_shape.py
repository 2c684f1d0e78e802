"""Nothing grows past what a reader takes in: the limits of tools/shape.py."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tools.shape import Large, large, read

ROOT: Final = Path(__file__).resolve().parents[1]

LONG: Final[dict[str, str]] = {}
"""Modules that may be longer, three at most, and the reason of each."""


def test_no_function_class_or_module_is_too_large() -> None:
    found = [each for each in large(read(ROOT / "wiredaemon")) if each.name not in LONG]
    assert found == []


def test_few_modules_may_be_longer_and_those_are() -> None:
    assert len(LONG) <= 3
    longer = {each.name for each in large(read(ROOT / "wiredaemon")) if each.kind == "module"}
    assert set(LONG) <= longer


def test_what_is_too_large_would_be_found(tmp_path: Path) -> None:
    body = "".join(f"    x = {number}\n" for number in range(40))
    methods = "".join(f"    def m{number}(self): pass\n" for number in range(25))
    (tmp_path / "a.py").write_text(f'def f():\n    """One\n    two."""\n{body}', "utf-8")
    (tmp_path / "b.py").write_text(f"class C:\n{methods}", "utf-8")
    (tmp_path / "c.py").write_text("x = 1\n" * 351, "utf-8")
    assert list(large(read(tmp_path))) == [
        Large(kind="function", size=41, name="a.py f"),
        Large(kind="class", size=25, name="b.py C"),
        Large(kind="module", size=351, name="c.py"),
    ]
