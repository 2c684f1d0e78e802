"""The shape of the source: ``python -m tools.shape [FOLDER]``.

Prints how many modules and lines there are, and what is larger than a reader likes: functions of
more than 40 lines (their docstrings aside), classes of more than 24 methods, modules of more than
350 lines. ``tests/test_shape.py`` holds the project to the same limits.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FUNCTION_LINES: Final = 40
CLASS_METHODS: Final = 24
"""h11's connection has 22, that of websockets 23."""
MODULE_LINES: Final = 350

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    """A function, class or module that is larger than its limit."""

    kind: str
    size: int
    name: str
    """The module below the folder, and the name inside of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file, parsed."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """The number of lines."""
        return self.text.count("\n")

    def functions(self) -> Iterator[_Function]:
        """Every function and method."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                yield node

    def comments(self) -> int:
        """The number of lines that are comments for readers: those for tools do not count."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(
            token.type == tokenize.COMMENT
            and token.line.lstrip().startswith("#")
            and not token.string.startswith(("# ---", "# ruff", "# type"))
            for token in tokens
        )

    def docstring_lines(self) -> int:
        """The number of lines in docstrings."""
        return sum(map(_docstring_lines, ast.walk(self.tree)))


def read(folder: Path) -> list[Module]:
    """Parse every module below a folder."""
    files = sorted(folder.rglob("*.py"))
    texts = [(file.relative_to(folder).as_posix(), file.read_text("utf-8")) for file in files]
    return [Module(name=name, text=text, tree=ast.parse(text)) for name, text in texts]


def _docstring_lines(node: ast.AST) -> int:
    body = getattr(node, "body", None)
    if not isinstance(body, list):
        return 0
    return sum(
        (each.end_lineno or each.lineno) - each.lineno + 1
        for each in body
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    )


def function_lines(node: _Function, lines: Sequence[str]) -> int:
    """Lines of a function; its docstring and its comments do not count, for they are no code.

    Args:
        node: The function.
        lines: Those of its module.
    """
    last = node.end_lineno or node.lineno
    comments = sum(line.lstrip().startswith("#") for line in lines[node.lineno - 1 : last])
    return last - node.lineno + 1 - _docstring_lines(node) - comments


def large(modules: list[Module]) -> Iterator[Large]:
    """Return the functions, classes and modules that are larger than their limits."""
    for module in modules:
        if module.lines > MODULE_LINES:
            yield Large(kind="module", size=module.lines, name=module.name)
        lines = module.text.splitlines()
        for node in module.functions():
            size = function_lines(node, lines)
            if size > FUNCTION_LINES:
                yield Large(kind="function", size=size, name=f"{module.name} {node.name}")
        for each in module.classes():
            methods = sum(
                isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in each.body
            )
            if methods > CLASS_METHODS:
                yield Large(kind="class", size=methods, name=f"{module.name} {each.name}")


def main() -> None:
    """Print the shape of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("wiredaemon"))
    modules = read(parser.parse_args().folder)
    lines = sum(module.lines for module in modules)
    sizes = sorted(
        function_lines(node, module.text.splitlines())
        for module in modules
        for node in module.functions()
    )
    documented = sum(module.docstring_lines() for module in modules)
    comments = sum(module.comments() for module in modules)
    blank = sum(not line.strip() for module in modules for line in module.text.splitlines())
    code = lines - documented - comments - blank
    print(
        f"{len(modules)} modules of {lines} lines, half of them under "
        f"{median(module.lines for module in modules):.0f}"
    )
    print(
        f"functions: median {median(sizes):.0f} lines, nine of ten up to "
        f"{sizes[len(sizes) * 9 // 10]}, longest {sizes[-1]}"
    )
    print(f"comment lines for each line of code: {comments / code:.3f} ({comments})")
    print(f"lines that are docstrings: {documented / lines:.0%}")
    for each in large(modules):
        print(f"{each.size:6} {each.kind:8} {each.name}")


if __name__ == "__main__":
    main()
