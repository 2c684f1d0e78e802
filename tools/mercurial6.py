"""Older releases of Mercurial: 6.0.3 is the last whose client and server speak version 2.

Owns an installation of each in a virtual environment of its own, in `.cache` of this checkout, made
when it is first used. As it is other people's code, it is only ever run as a program.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION: Final = "6.0.3"

VARIABLE: Final = "WIREDAEMON_HG6"
"""The environment variable that names another `hg` to use instead."""

CACHE: Final = Path(__file__).resolve().parents[1] / ".cache"

_STAMP: Final = "complete"
"""A file in the installation, written last. An environment cannot be moved: its scripts name it."""

_TOO_NEW: Final = (3, 12)
"""Python has no distutils from here on, which releases up to 6.5 are built with."""

_IN_C: Final = (6,)
_WITHOUT_DISTUTILS: Final = (6, 6)
_OLDER: Final = ("python3.11", "python3.10", "python3.9")
_BUILD_SECONDS: Final = 900
_UNREACHABLE: Final = re.compile(
    r"from versions: none|NewConnectionError|Name or service not known|"
    r"Temporary failure in name resolution|ConnectTimeoutError|ReadTimeoutError|ProxyError"
)
"""The text of pip when it has found no registry."""


class UnavailableError(Exception):
    """It cannot be made on this machine, through no fault of ours; the text says why."""


class BuildError(Exception):
    """Making it failed; the text ends with what was printed."""


def mercurial6() -> Path:
    """Return the path of its `hg`: what `WIREDAEMON_HG6` names, or one made here, in two minutes.

    Raises:
        UnavailableError: It cannot be made here.
        BuildError: Making it failed.
    """
    return mercurial(VERSION)


@cache
def mercurial(version: str) -> Path:
    """Return the path of the `hg` of a release, made here in two minutes.

    Raises:
        UnavailableError: It cannot be made here.
        BuildError: Making it failed.
    """
    named = os.environ.get(VARIABLE)
    if named and version == VERSION:
        return Path(named)
    return installed(CACHE / f"hg-{version}", version)


def installed(folder: Path, version: str = VERSION) -> Path:
    """Return the `hg` of an installation, made if there is none or only a part of one.

    Processes that ask at once wait for each other.

    Args:
        folder: The virtual environment; the one around it is made, and hidden from git.
        version: The release.

    Raises:
        UnavailableError: It cannot be made here.
        BuildError: Making it failed.
    """
    hg = folder / "bin" / "hg"
    if not _is_complete(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        (folder.parent / ".gitignore").write_text("*\n", encoding="ascii")
        with _locked(folder.with_name(f"{folder.name}.lock")):
            if not _is_complete(folder):
                _make(folder, version)
    return hg


def _is_complete(folder: Path) -> bool:
    # The Python it was made with may be gone.
    return (folder / _STAMP).exists() and (folder / "bin" / "python").exists()


def _make(folder: Path, version: str) -> None:
    python = _python(version)
    if shutil.which(_compiler()) is None:
        raise UnavailableError(
            f"Mercurial {version} needs a C compiler, and there is no {_compiler()}"
        )
    sys.stderr.write(f"making Mercurial {version} in {folder}, which takes two minutes\n")
    if folder.exists():
        shutil.rmtree(folder)
    _run([python, "-m", "venv", str(folder)])
    # Older ones have C that Python 3.11 does not take.
    how = [] if _numbers(version) >= _IN_C else ["--config-settings=--global-option=--pure"]
    _run([str(folder / "bin" / "pip"), "install", "--quiet", *how, f"mercurial=={version}"])
    (folder / _STAMP).write_text(f"Mercurial {version}\n", encoding="ascii")


def _python(version: str) -> str:
    if sys.version_info < _TOO_NEW or _numbers(version) >= _WITHOUT_DISTUTILS:
        return sys.executable
    found = next(filter(None, map(shutil.which, _OLDER)), None)
    if found is None:
        wanted = ", ".join(_OLDER)
        raise UnavailableError(f"Mercurial {version} needs an older Python: one of {wanted}")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _compiler() -> str:
    return str(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]


def _run(command: Sequence[str]) -> None:
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise BuildError(f"{' '.join(command)}: not done in {late.timeout} s") from None
    if finished.returncode == 0:
        return
    text = f"{' '.join(command)}: {finished.stdout.strip()}"
    if _UNREACHABLE.search(finished.stdout):
        raise UnavailableError(text)
    raise BuildError(text)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock that ends with this process, however that ends."""
    with file.open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
