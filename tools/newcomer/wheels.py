"""Wheels for a fresh environment: the project's own, and those of what this environment has.

With the latter ``pip install`` of a page needs no index.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from zipfile import ZipInfo

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]

BESIDES: Final = ("pytest", "pytest-twisted")
"""The requirements that pages install besides the project."""

_MADE_AT_INSTALL: Final = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"})


def build_wheel(folder: Path) -> Path:
    """Make the project's own wheel in a folder, with the build backend of this environment."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    finished = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(finished.stdout + finished.stderr)
    (built,) = folder.glob("wiredaemon-*.whl")
    return built


def pack_installed(folder: Path, wheel: Path) -> None:
    """Make a wheel of each installed distribution that the project's wheel and pages need."""
    names = dependencies(in_wheel(wheel), frozenset({"hg"}))
    for name in BESIDES:
        names |= {name, *dependencies(distribution(name))}
    for name in sorted(names):
        _pack(distribution(name), folder)


def in_wheel(wheel: Path) -> Distribution:
    """Return the metadata of a wheel; those installed of a checkout may be older."""
    tops = zipfile.Path(wheel).iterdir()
    (information,) = [top for top in tops if top.name.endswith(".dist-info")]
    return PathDistribution(information)


def dependencies(one: Distribution, extras: frozenset[str] = frozenset()) -> set[str]:
    """Names of the distributions that one needs, itself not included."""
    found: set[str] = set()
    for needed, its_extras in _requirements(one, extras):
        found |= {needed} | dependencies(distribution(needed), its_extras)
    return found


def _requirements(
    one: Distribution, extras: frozenset[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    for text in one.requires or ():
        needed = Requirement(text)
        if needed.marker is None or any(
            needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            yield needed.name, frozenset(needed.extras)


def _pack(installed: Distribution, folder: Path) -> None:
    """Put the files of an installed distribution into a wheel again."""
    information = next(
        file.parent for file in installed.files or () if file.parent.suffix == ".dist-info"
    )
    stem = information.name.removesuffix(".dist-info")
    names: list[str] = []
    with zipfile.ZipFile(folder / f"{stem}-{_tag(installed)}.whl", "w") as wheel:
        for file in installed.files or ():
            name = _name_in_wheel(file, stem, installed)
            if name is not None:
                source = Path(str(installed.locate_file(file)))
                content = source.read_bytes()
                if "/scripts/" in name:
                    content = b"#!python\n" + content.partition(b"\n")[2]
                # With its permissions: programs can be executed.
                wheel.writestr(ZipInfo.from_file(source, name), content)
                names.append(name)
        record = f"{information}/RECORD"
        wheel.writestr(record, "".join(f"{name},,\n" for name in [*names, record]))


def _name_in_wheel(file: PurePosixPath, stem: str, installed: Distribution) -> str | None:
    """Where a wheel has an installed file; None for those that the installer makes."""
    if file.name in _MADE_AT_INSTALL or "__pycache__" in file.parts:
        return None
    if ".." not in file.parts:
        return file.as_posix()
    below = PurePosixPath(*(part for part in file.parts if part != ".."))
    if below.parts[0] != "bin":
        return f"{stem}.data/data/{below}"
    if below.name in installed.entry_points.select(group="console_scripts").names:
        return None
    return f"{stem}.data/scripts/{below.name}"


def _tag(installed: Distribution) -> str:
    """The tags in a wheel's file name: for Python, for its binary interface, for platforms."""
    lines = (installed.read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag: ").split("-") for line in lines if line.startswith("Tag: ")]
    return "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
