"""The wheel: what is in it, and that it runs where nothing but its dependencies is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest
from support.printing import printed_by

from tools.newcomer.wheels import build_wheel, dependencies, in_wheel

ROOT: Final = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files of the source distribution, without its folder."""
    folder = tmp_path_factory.mktemp("source")
    run(
        *(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder)),
        str(ROOT),
    )
    (built,) = folder.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel, and its dependencies without extras.

    The dependencies are linked from the environment of the tests, so that no index is asked.
    """
    folder = tmp_path_factory.mktemp("fresh")
    environment, linked = folder / "environment", folder / "linked"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel))
    link_dependencies(wheel, linked)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "linked.pth").write_text(f"{linked}\n")
    for script in ("twistd", "twist"):
        write_script(python, script)
    return environment / "bin"


def run(*command: str) -> str:
    """What a program prints; a failure shows all of it."""
    # Not the folder or the path of the tests: the checkout must not stand in for the wheel.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return printed_by(command, Path("/"), environment)


def link_dependencies(wheel: Path, folder: Path) -> None:
    """Links to every installed file that a wheel needs, and to nothing else."""
    folder.mkdir()
    for needed in sorted(dependencies(in_wheel(wheel))):
        files = distribution(needed).files
        assert files, f"{needed} does not say what it installed"
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution(needed).locate_file(top))))


def write_script(python: Path, name: str) -> None:
    """The console script of a linked distribution, as its installer would have written it."""
    (entry,) = distribution("twisted").entry_points.select(group="console_scripts", name=name)
    script = python.with_name(name)
    imported = entry.attr.partition(".")[0]
    lines = [f"#!{python}", f"from {entry.module} import {imported}", f"{entry.attr}()", ""]
    script.write_text("\n".join(lines))
    script.chmod(0o755)


def test_the_wheel_holds_the_package_the_plugin_and_the_shipped_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "wiredaemon").rglob("*.py")}
    wanted = {
        *modules,
        "twisted/plugins/wiredaemon_plugin.py",
        "wiredaemon/conf/wiredaemon.toml",
        "wiredaemon/conf/examples/dummycommands.py",
    }
    assert wanted - names == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {
        "twisted",
        "wiredaemon",
    }
    assert [name for name in names if name.startswith("twisted/")] == [
        "twisted/plugins/wiredaemon_plugin.py"
    ]
    assert [name for name in names if name.endswith(("dropin.cache", ".pyc"))] == []


def test_the_source_has_the_documents_and_what_makes_their_site(source: set[str]) -> None:
    documents = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    others = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile"}
    made = {"docs/conf.py", "docs/wiredaemon.1", "tools/site_links.py", "findings/README.md"}
    wanted = {*documents, *others, *made, "conf/wiredaemon.toml", "benchmarks/README.md"}
    assert wanted - source == set()


def test_the_source_has_nothing_that_was_made(source: set[str]) -> None:
    tops = {name.partition("/")[0] for name in source}
    assert tops & {".venv", ".cache", "build", "dist", "data", ".git"} == set()


def test_the_wheel_installs_the_man_page_where_man_looks(wheel: Path, fresh: Path) -> None:
    page = (ROOT / "docs" / "wiredaemon.1").read_bytes()
    archive = zipfile.ZipFile(wheel)
    names = [name for name in archive.namelist() if ".data/" in name]
    assert [name.partition(".data/")[2] for name in names] == ["data/share/man/man1/wiredaemon.1"]
    assert archive.read(names[0]) == page
    assert (fresh.parent / "share" / "man" / "man1" / "wiredaemon.1").read_bytes() == page


def test_without_its_extra_completion_says_what_is_missing(fresh: Path) -> None:
    finished = subprocess.run(
        [fresh / "wiredaemon", "completion", "bash"], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "pip install 'wiredaemon[completion]'" in finished.stderr


def test_the_wheel_carries_its_license_and_its_console_script(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    by_end = {name.partition(".dist-info/")[2]: archive.read(name) for name in archive.namelist()}
    assert by_end["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert b"wiredaemon = wiredaemon.__main__:main" in by_end["entry_points.txt"]
    assert b"\nLicense-Expression: GPL-2.0-or-later\n" in by_end["METADATA"]


def test_the_fresh_environment_runs_the_wheel_and_has_no_mercurial(fresh: Path) -> None:
    code = (
        "import wiredaemon; from importlib.util import find_spec;"
        "print(wiredaemon.__file__, find_spec('mercurial'))"
    )
    file, mercurial = run(str(fresh / "python"), "-c", code).split()
    assert Path(file).is_relative_to(fresh.parent)
    assert mercurial == "None"


@pytest.mark.parametrize(
    "command",
    [
        ("twistd", "wiredaemon", "--help"),
        ("twist", "wiredaemon", "--help"),
        ("wiredaemon", "--help"),
        ("python", "-m", "wiredaemon", "--help"),
        ("python", "-m", "twisted", "wiredaemon", "--help"),
    ],
    ids=" ".join,
)
def test_every_way_to_start_it_explains_itself(fresh: Path, command: tuple[str, ...]) -> None:
    program, *arguments = command
    output = run(str(fresh / program), *arguments)
    assert "usage: " in output.lower()
    assert "wiredaemon" in output


def test_without_mercurial_init_makes_a_configuration_that_can_be_used(
    fresh: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    run(str(fresh / "wiredaemon"), "init", str(folder))
    output = run(str(fresh / "wiredaemon"), "check-config", str(folder / "wiredaemon.toml"))
    assert output == f"{folder / 'wiredaemon.toml'}: OK\n"
    assert not (folder / "data" / "repository").exists()
