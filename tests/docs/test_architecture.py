"""What the documents name exists: functions of the package, and files."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
ARCHITECTURE: Final = ROOT / "docs" / "architecture.md"
DOCUMENTS: Final = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
"""All but the list of changes, which names what is gone."""

NAME: Final = re.compile(r"`(wiredaemon(?:\.\w+)+)[`(]")
"""For instance ```wiredaemon.net.tls.context_of```, also with the parentheses of a call."""

FILE: Final = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|md|toml))`")
"""A file with at least one folder; those without are examples."""

CLASS: Final = re.compile(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:\.(\w+))?[`(]")
"""A class of ours, also with one of its methods."""

LINK: Final = re.compile(r"\]\(([^):#]+)(?:#[^)]*)?\)")

Scope: TypeAlias = ast.Module | ast.ClassDef


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def module_file(parts: Sequence[str]) -> Path | None:
    """The file of a module or a package, or None."""
    folder = ROOT.joinpath(*parts)
    return next(
        (file for file in (folder.with_suffix(".py"), folder / "__init__.py") if file.is_file()),
        None,
    )


def defined(scope: Scope, name: str) -> ast.stmt | None:
    """What defines a name in a module or class: a definition, an assignment or an import."""
    for node in scope.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if node.name == name:
                return node
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                return node
            case ast.AnnAssign(target=ast.Name(id=target)) if target == name:
                return node
            case ast.ImportFrom(names=names) if any(one.name == name for one in names):
                return node
    return None


def has_names(file: Path, scope: Scope, names: Sequence[str]) -> bool:
    """Whether a module or a class has a name, that one the next name, and so on."""
    if not names:
        return True
    match defined(scope, names[0]):
        case ast.ClassDef() as found:
            return has_names(file, found, names[1:])
        case ast.ImportFrom(module=str(module)) if module.startswith("wiredaemon."):
            return exists([*module.split("."), *names])
        case None if isinstance(scope, ast.ClassDef):
            bases = [base.id for base in scope.bases if isinstance(base, ast.Name)]
            return any(has_names(file, parsed(file), [base, *names]) for base in bases)
        case None:
            return False
        case _:
            return len(names) == 1


def exists(parts: Sequence[str]) -> bool:
    """Whether a dotted name stands for a module, or for something in one."""
    for size in range(len(parts), 0, -1):
        file = module_file(parts[:size])
        if file is not None:
            return has_names(file, parsed(file), parts[size:])
    return False


def names_in(document: Path) -> Iterator[tuple[int, str]]:
    """Each dotted name in a document, with its line."""
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        for name in NAME.findall(line):
            yield number, name


def shown(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_every_function_that_a_document_names_exists(document: Path) -> None:
    missing = [
        f"{shown(document)}:{line}: {name}"
        for line, name in names_in(document)
        if not exists(name.split("."))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    missing = [
        name
        for name in FILE.findall(text)
        if not any((folder / name).exists() for folder in (ROOT, ROOT / "wiredaemon"))
    ]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize(
    "document", [one for one in DOCUMENTS if one.parent.name != "spec"], ids=shown
)
def test_every_class_that_a_document_names_exists(document: Path) -> None:
    modules = [
        file.relative_to(ROOT).with_suffix("").parts for file in (ROOT / "wiredaemon").rglob("*.py")
    ]
    missing = [
        f"{name}.{member}"
        for name, member in CLASS.findall(document.read_text("utf-8"))
        if not any(exists([*parts, name, *filter(None, [member])]) for parts in modules)
    ]
    assert missing == []


def test_the_picture_has_the_packages_of_net_in_the_order_of_their_imports() -> None:
    (rooms,) = [
        node.value
        for node in parsed(ROOT / "tests" / "test_layers.py").body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "ROOMS"
        and node.value is not None
    ]
    ordered = list(ast.literal_eval(rooms))
    words = re.findall(r"^\|[^|]*\|   (\w+)  ", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
    assert [word for word in words if word in ordered] == ordered[::-1]


@pytest.mark.parametrize(
    "name",
    [
        "wiredaemon.protocol",
        "wiredaemon.protocol.ServerConnection.data_to_send",  # exported, and inherited
        "wiredaemon.wire.limits.Limits.output_high",
        "wiredaemon.commands.arguments.check_arguments",
    ],
)
def test_what_is_there_is_found(name: str) -> None:
    assert exists(name.split("."))


@pytest.mark.parametrize(
    "name",
    [
        "wiredaemon.nowhere",
        "wiredaemon.protocol.server.NoSuchClass",
        "wiredaemon.protocol.server.ServerConnection.no_such_method",
        "wiredaemon.commands.arguments.check_arguments.inner",
    ],
)
def test_what_is_not_there_would_be_named(name: str) -> None:
    assert not exists(name.split("."))
