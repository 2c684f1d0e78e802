"""The directions in which imports may point, read from the source of every module."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]

BELOW: Final[Mapping[str, frozenset[str]]] = {
    "wire": frozenset(),
    "protocol": frozenset({"wire"}),
    "commands": frozenset({"wire"}),
    "accounts": frozenset({"wire"}),
    "repository": frozenset({"wire", "protocol", "commands"}),
    "worker": frozenset({"wire", "protocol", "commands", "repository"}),
    "client": frozenset({"wire", "protocol", "commands", "net"}),
    "debugtool": frozenset({"wire", "protocol", "commands", "client"}),
    "net": frozenset({"wire", "protocol", "commands", "accounts", "repository"}),
    "service": frozenset({"wire", "protocol", "commands", "accounts", "repository", "net"}),
    "testing": frozenset({"wire", "protocol", "commands", "net", "service"}),
    "daemon": frozenset(
        {
            "wire",
            "protocol",
            "commands",
            "accounts",
            "repository",
            "client",
            "debugtool",
            "net",
            "service",
        }
    ),
}
"""Each package of ours, and the others it may import. No package may import ``worker``."""

ROOMS: Final = (
    "guard",
    "workers",
    "cache",
    "hosting",
    "responding",
    "http",
    "hgweb",
    "api",
    "json",
    "framed",
    "site",
    "mounted",
    "admin",
)
"""The packages of ``net``. Each may import those in front of it, and the modules that all share."""

SHARED: Final = frozenset(
    {
        "certificate_users",
        "closed_peers",
        "departures",
        "endpoints",
        "logins",
        "peer",
        "read_size",
        "repeated_lines",
        "tls",
        "twisted_internals",
        "write_now",
    }
)
"""Modules of ``net`` itself: they import none of its packages."""

FOR_CLIENTS: Final = frozenset({"read_size", "tls", "write_now"})
"""The modules of ``net`` that ``client`` may import."""

DISTRIBUTIONS: Final[Mapping[str, frozenset[str]]] = {
    "wire": frozenset({"cbor2", "backports.zstd", "compression.zstd"}),
    "protocol": frozenset(),
    "commands": frozenset(),
    "accounts": frozenset({"twisted", "zope.interface", "bcrypt"}),
    "repository": frozenset(),
    "worker": frozenset({"mercurial"}),
    "client": frozenset({"twisted", "zope.interface", "httptools"}),
    "debugtool": frozenset(),
    "net": frozenset(
        {
            "twisted",
            "zope.interface",
            "OpenSSL",
            "cryptography",
            "boto3",
            "botocore",
            "prometheus_client",
        }
    ),
    "service": frozenset({"twisted", "zope.interface"}),
    "testing": frozenset({"twisted", "pytest"}),
    "daemon": frozenset({"twisted", "zope.interface", "cryptography", "shtab"}),
}
"""Each package of ours, and what it may import besides the standard library."""

ONLY_IN: Final[Mapping[str, str]] = {
    "bcrypt": "wiredaemon/accounts/bcrypt_hashes.py",
    "cbor2": "wiredaemon/wire/cbor.py",
    "OpenSSL": "wiredaemon/net/tls.py",
    "boto3": "wiredaemon/net/cache/uploaders.py",
    "botocore": "wiredaemon/net/cache/uploaders.py",
    "prometheus_client": "wiredaemon/net/admin/",
    "mercurial": "wiredaemon/worker/",
    "shtab": "wiredaemon/daemon/completion_subcommand.py",
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
    return layer_problem(one.file, layer, one.module) if layer else None


def layer_problem(file: str, layer: str, module: str) -> str | None:
    """What is wrong with a module of a layer importing a module, or None."""
    top, *theirs = module.split(".")
    if top == "wiredaemon":
        return package_problem(file, layer, theirs)
    is_standard = top in sys.stdlib_module_names and top != "compression"
    if is_standard or any(f"{module}.".startswith(f"{name}.") for name in DISTRIBUTIONS[layer]):
        return None
    return f"{layer} may not import {module}"


def package_problem(file: str, layer: str, theirs: Sequence[str]) -> str | None:
    """What is wrong with a module of a layer importing a module of ours, or None."""
    if theirs[0] == layer == "net":
        return room_problem(file.split("/")[2:], theirs[1:])
    if theirs[0] not in BELOW[layer] | {layer, "__version__"}:
        return f"{layer} may not import {theirs[0]}"
    if (layer, theirs[0]) == ("client", "net") and not FOR_CLIENTS.intersection(theirs[1:2]):
        return f"client may not import {'.'.join(theirs[:2])}"
    return None


def room_problem(ours: Sequence[str], theirs: Sequence[str]) -> str | None:
    """What is wrong with a module below ``net`` importing another one below it, or None."""
    imported = theirs[0] if theirs else "net itself"
    if imported in SHARED:
        return None
    if imported not in ROOMS:
        return f"{imported} is no package of net"
    room = ours[0] if len(ours) > 1 else "a module that all of net shares"
    if room in ROOMS and ROOMS.index(imported) <= ROOMS.index(room):
        return None
    return f"{room} may not import {imported}"


def layer_of(file: str) -> str | None:
    """The layer a module belongs to; None for ``__init__`` and ``__main__`` of the package."""
    parts = file.split("/")
    return parts[1] if parts[0] == "wiredaemon" and parts[1] in BELOW else None


def test_every_import_points_up_the_layers() -> None:
    found = (one for file in modules() for one in imports_of(file, file.read_text("utf-8")))
    assert [(one, problem(one)) for one in found if problem(one)] == []


def test_every_package_is_a_layer() -> None:
    packages = {folder.name for folder in (ROOT / "wiredaemon").iterdir() if folder.is_dir()}
    assert packages - {"__pycache__"} == set(BELOW)


def test_every_package_of_net_is_a_room() -> None:
    net = ROOT / "wiredaemon" / "net"
    packages = {folder.name for folder in net.iterdir() if folder.is_dir()}
    assert packages - {"__pycache__"} == set(ROOMS)
    assert {file.stem for file in net.glob("*.py")} - {"__init__"} <= SHARED


def test_the_plugin_imports_nothing_of_ours_and_nothing_heavy() -> None:
    file = ROOT / "twisted" / "plugins" / "wiredaemon_plugin.py"
    found = [one.module for one in imports_of(file, file.read_text("utf-8"))]
    assert found == ["__future__.annotations", "twisted.application.service.ServiceMaker"]


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("wire/frames.py", "import wiredaemon.net.tls", "wire may not import net"),
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
        ("net/tls.py", "import mercurial.hg", "mercurial is for wiredaemon/worker/"),
        ("repository/text.py", "import mercurial.hg", "mercurial is for wiredaemon/worker/"),
        ("net/peer.py", "from OpenSSL import SSL", "OpenSSL is for wiredaemon/net/tls.py"),
        (
            "net/peer.py",
            "if True:\n  from twisted.internet import reactor",
            "the reactor is passed in, or imported in a function",
        ),
        ("daemon/cli.py", "def f():\n  from twisted.internet import reactor", None),
        ("daemon/cli.py", "import treq", "daemon may not import treq"),
        ("daemon/cli.py", "from wiredaemon.worker import values", "daemon may not import worker"),
        ("net/workers/pool.py", "import wiredaemon.worker.web", "net may not import worker"),
        ("repository/text.py", "import wiredaemon.worker", "repository may not import worker"),
        ("worker/program.py", "import twisted", "worker may not import twisted"),
        ("client/http.py", "from wiredaemon.net import tls", None),
        ("client/http.py", "from wiredaemon.net.tls import x", None),
        (
            "client/http.py",
            "from wiredaemon.net.http import request",
            "client may not import net.http",
        ),
        ("net/cache/store.py", "from wiredaemon.net.workers import pool", None),
        (
            "net/workers/pool.py",
            "from wiredaemon.net.cache import store",
            "workers may not import cache",
        ),
        ("net/site/tree.py", "from wiredaemon.net.hgweb.resource import x", None),
        (
            "net/http/request.py",
            "from wiredaemon.net.site import tree",
            "http may not import site",
        ),
        (
            "net/tls.py",
            "from wiredaemon.net.http import request",
            "a module that all of net shares may not import http",
        ),
        ("net/http/request.py", "from wiredaemon.net import tls", None),
        ("net/http/request.py", "from wiredaemon import net", "net itself is no package of net"),
    ],
)
def test_a_wrong_import_would_be_found(file: str, source: str, expected: str | None) -> None:
    found = imports_of(ROOT / "wiredaemon" / file, source)
    problems = [problem(one) for one in found if problem(one)]
    assert problems == ([] if expected is None else [expected])
