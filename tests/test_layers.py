"""The directions in which imports may point, read from the source of every module."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[1]

LAYERS: Final[Mapping[str, frozenset[str]]] = {
    "wire": frozenset(),
    "protocol": frozenset({"wire"}),
    "commands": frozenset({"wire"}),
    "repository": frozenset({"wire", "protocol", "commands"}),
    "net": frozenset({"wire", "protocol", "commands", "repository"}),
    "daemon": frozenset({"wire", "protocol", "commands", "repository", "net"}),
}
"""Each package of ours, and the others it may import."""

DISTRIBUTIONS: Final[Mapping[str, frozenset[str]]] = {
    "wire": frozenset({"cbor2", "backports.zstd", "compression.zstd"}),
    "protocol": frozenset(),
    "commands": frozenset(),
    "repository": frozenset({"mercurial"}),
    "net": frozenset(
        {"twisted", "zope.interface", "OpenSSL", "cryptography", "bcrypt", "boto3", "botocore"}
    ),
    "daemon": frozenset({"twisted", "zope.interface", "cryptography"}),
}
"""Each package of ours, and what it may import besides the standard library."""

ONLY_IN: Final[Mapping[str, str]] = {
    "cbor2": "wiredaemon/wire/cbor.py",
    "OpenSSL": "wiredaemon/net/tls.py",
    "boto3": "wiredaemon/net/cache/uploaders.py",
    "botocore": "wiredaemon/net/cache/uploaders.py",
    "mercurial": "wiredaemon/repository/",
}
"""Imports that have one home; a folder ends with a slash."""


class Import(NamedTuple):
    """One imported module, e.g. ``twisted.internet.reactor``, and where."""

    file: str
    line: int
    module: str
    at_module_level: bool


def modules() -> list[Path]:
    return sorted([*(ROOT / "wiredaemon").rglob("*.py"), *(ROOT / "twisted").rglob("*.py")])


def imports_of(file: Path, source: str) -> Iterator[Import]:
    """Every import in a module, those for types only included."""
    tree = ast.parse(source)
    deferred = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(level=0, module=str(module)):
                names = [f"{module}.{alias.name}" for alias in node.names]
            case ast.ImportFrom():
                names = [f"wiredaemon.{file.parent.name}.(relative)"]
            case _:
                continue
        for name in names:
            yield Import(file.relative_to(ROOT).as_posix(), node.lineno, name, node not in deferred)


def problem(one: Import) -> str | None:
    """What is wrong with one import, or None."""
    top = one.module.partition(".")[0]
    for name, home in ONLY_IN.items():
        if top == name and not one.file.startswith(home):
            return f"{name} is for {home}"
    if one.module == "twisted.internet.reactor" and one.at_module_level:
        return "the reactor is passed in, or imported in a function"
    layer = layer_of(one.file)
    return layer_problem(layer, one.module) if layer else None


def layer_problem(layer: str, module: str) -> str | None:
    """What is wrong with a layer importing a module, or None."""
    top = module.partition(".")[0]
    if top == "wiredaemon":
        ours = module.split(".")[1]
        allowed = LAYERS[layer] | {layer, "__version__"}
        return None if ours in allowed else f"{layer} may not import {ours}"
    if top in sys.stdlib_module_names and top != "compression":
        return None
    if any(f"{module}.".startswith(f"{name}.") for name in DISTRIBUTIONS[layer]):
        return None
    return f"{layer} may not import {module}"


def layer_of(file: str) -> str | None:
    """The layer a module belongs to; None for ``__init__`` and ``__main__`` of the package."""
    parts = file.split("/")
    return parts[1] if parts[0] == "wiredaemon" and parts[1] in LAYERS else None


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_import_points_up_the_layers(file: Path) -> None:
    found = list(imports_of(file, file.read_text("utf-8")))
    assert [(one, problem(one)) for one in found if problem(one)] == []


def test_every_package_is_a_layer() -> None:
    packages = {folder.name for folder in (ROOT / "wiredaemon").iterdir() if folder.is_dir()}
    assert packages - {"__pycache__"} == set(LAYERS)


def test_the_plugin_imports_nothing_of_ours_and_nothing_heavy() -> None:
    file = ROOT / "twisted" / "plugins" / "wiredaemon_plugin.py"
    found = [one.module for one in imports_of(file, file.read_text("utf-8"))]
    assert found == ["__future__.annotations", "twisted.application.service.ServiceMaker"]


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("wire/frames.py", "import wiredaemon.net.rules", "wire may not import net"),
        ("wire/frames.py", "import cbor2", "cbor2 is for wiredaemon/wire/cbor.py"),
        ("wire/cbor.py", "import cbor2", None),
        ("protocol/server.py", "from wiredaemon import net", "protocol may not import net"),
        ("protocol/server.py", "from wiredaemon.wire import frames", None),
        ("protocol/server.py", "import twisted", "protocol may not import twisted"),
        (
            "commands/schema.py",
            "def f():\n  from wiredaemon.protocol import server",
            "commands may not import protocol",
        ),
        ("net/rules.py", "import mercurial.hg", "mercurial is for wiredaemon/repository/"),
        ("net/rules.py", "from OpenSSL import SSL", "OpenSSL is for wiredaemon/net/tls.py"),
        ("net/rules.py", "from . import tls", None),
        (
            "net/rules.py",
            "if True:\n  from twisted.internet import reactor",
            "the reactor is passed in, or imported in a function",
        ),
        ("daemon/cli.py", "def f():\n  from twisted.internet import reactor", None),
        ("repository/worker.py", "import twisted", "repository may not import twisted"),
        ("daemon/cli.py", "import treq", "daemon may not import treq"),
    ],
)
def test_a_wrong_import_would_be_found(file: str, source: str, expected: str | None) -> None:
    found = imports_of(ROOT / "wiredaemon" / file, source)
    problems = [problem(one) for one in found if problem(one)]
    assert problems == ([] if expected is None else [expected])
