"""The programs of all servers, with the command that starts each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.errors import UnavailableError
from benchmarks.processes import ROOT, Program, environment
from tools import mercurial6
from wiredaemon.daemon.certificate import development_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEVER: Final = 1_000_000_000
_CONNECTIONS: Final = 4000
_COMMANDS: Final = Path(__file__).with_name("servers") / "commands.py"
_NOT_YET: Final = "not available in this version"
_HG6_SWITCHES: Final = ("experimental.web.apiserver=true", "experimental.web.api.http-v2=true")
_CHANGESETS: Final = 3
_SUBPROCESS_SECONDS: Final = 600


def peer(module: str, *arguments: str) -> Program:
    """Return a program of `benchmarks.servers`."""
    return Program(
        name=" ".join([module, *arguments]),
        command=lambda _: [sys.executable, "-m", f"benchmarks.servers.{module}", *arguments],
    )


def wiredaemon(
    listener: str = "http",
    *,
    dialect: str = "",
    repository: Path | None = None,
    settings: str = "",
) -> Program:
    """Return the real daemon with one listener; over TLS it uses its development certificate.

    Args:
        listener: A key of `[listen]`.
        dialect: For raw TCP, the listener's own.
        repository: The repository at `/`; None for a daemon without repositories.
        settings: Further tables of the configuration, as TOML.
    """

    def command(folder: Path) -> Sequence[str]:
        file = folder / "wiredaemon.toml"
        endpoint = f"{dialect} tcp:0:interface=127.0.0.1".strip()
        lines = ["[data]", f"folder = {_toml(folder / 'data')}"]
        lines += ["[listen]", f"{listener} = [{_toml(endpoint)}]"]
        lines += ["[paths]"] + ([f'"/" = {_toml(repository)}'] if repository else [])
        lines += ["[commands]", f"load = [{_toml(_COMMANDS)}]"]
        if "[limits]" not in settings:
            # A load sends all its requests on one connection, and one holds thousands of these.
            lines += ["[limits]", f"requests_per_connection = {_NEVER}"]
            lines += [f"connections = {_CONNECTIONS}"]
        file.write_text("\n".join([*lines, settings, ""]), encoding="utf-8")
        twistd = Path(sysconfig.get_path("scripts"), "twistd")
        return [str(twistd), "--nodaemon", "--pidfile=", "wiredaemon", "--config", str(file)]

    return Program(
        root=ROOT,
        name=f"wiredaemon {listener} {dialect} {repository} {settings}",
        command=command,
        port=re.compile(rf"\b{listener} listening on [a-z+]+://[^/\s]+:(\d+)"),
        ready="wiredaemon is ready",
        unavailable=_NOT_YET,
    )


def make_certificate(folder: Path) -> Path:
    """Make what the daemon makes for itself, for peers: certificate and private key in one file."""
    files = development_certificate(folder, now=datetime.now(UTC))
    both = folder / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.private_key.read_bytes())
    return both


def hg_serve(repository: Path, *, version: int = 2) -> Program:
    """Return `hg serve` of Mercurial 6.0.3, the last release with version 2, or of today's.

    Args:
        repository: The repository to serve.
        version: The protocol version: 2 for Mercurial 6.0.3, 1 for today's release.
    """

    def command(_: Path) -> Sequence[str]:
        hg = [str(hg6())] if version > 1 else [sys.executable, "-m", "mercurial"]
        switches = [part for switch in _HG6_SWITCHES for part in ("--config", switch)]
        where = ["--repository", str(repository), "--address", "127.0.0.1", "--port", "0"]
        return [*hg, "serve", *where, *(switches if version > 1 else [])]

    return Program(
        name=f"hg serve {version} {repository}",
        command=command,
        port=re.compile(r"bound to 127\.0\.0\.1:(\d+)"),
    )


def gunicorn(repository: Path) -> Program:
    """Return today's hgweb under gunicorn with two workers; it needs the extra ``bench``."""

    def command(folder: Path) -> Sequence[str]:
        (folder / "storm_hgweb.py").write_text(
            "from mercurial import initialization\ninitialization.init()\n"
            "from mercurial.hgweb import hgweb\n"
            f"application = hgweb({str(repository).encode()!r})\n",
            encoding="utf-8",
        )
        options = ["--workers", "2", "--bind", "127.0.0.1:0", "--chdir", str(folder)]
        return [sys.executable, "-m", "gunicorn", *options, "storm_hgweb:application"]

    return Program(
        name=f"gunicorn {repository}",
        command=command,
        port=re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)"),
        ready="Booting worker",
    )


def hg6() -> Path:
    """Return the path of Mercurial 6.0.3's `hg`, which is made at its first use.

    Raises:
        UnavailableError: Mercurial 6.0.3 cannot be made here.
    """
    try:
        return mercurial6.mercurial6()
    except (mercurial6.UnavailableError, mercurial6.BuildError) as error:
        raise UnavailableError(str(error)) from error


def make_repository(folder: Path) -> tuple[Path, bytes]:
    """Make a repository of a few changesets; return it and the node of its only head, 20 bytes.

    Raises:
        UnavailableError: Mercurial 6.0.3, whose format every later version reads, is missing.
    """
    repository = folder / "repository"
    hg = [str(hg6()), "--config", "ui.username=benchmarks"]
    _run([*hg, "init", str(repository)])
    for number in range(_CHANGESETS):
        (repository / "file").write_text(f"{number}\n", encoding="ascii")
        _run([*hg, "--repository", str(repository), "commit", "-A", "-m", str(number), "-d", "0 0"])
    node = _run([*hg, "--repository", str(repository), "log", "-r", "tip", "-T", "{node}"])
    return repository, bytes.fromhex(node.decode("ascii"))


def _run(command: Sequence[str]) -> bytes:
    try:
        return subprocess.run(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SUBPROCESS_SECONDS,
            check=True,
        ).stdout
    except OSError as error:
        raise UnavailableError(f"{command[0]}: {error}") from error
    except subprocess.CalledProcessError as error:
        text = error.stderr.decode("utf-8", "replace").strip()
        raise UnavailableError(f"{' '.join(command)}: {text}") from error


def _toml(value: str | Path) -> str:
    # JSON's strings are TOML's too, but for DEL, which no path here has.
    return json.dumps(str(value))
