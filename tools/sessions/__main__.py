"""Makes the pictures of terminals that `docs/tools.md` shows: `make sessions`.

A daemon serves the commands beside this file on ports that the system chooses; the pictures have
the usual ones. What belongs to this machine, such as folders, is shown as that of another one.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.sessions.drawing import draw
from tools.sessions.recording import Line, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT: Final = Path(__file__).resolve().parents[2]
PICTURES: Final = _ROOT / "docs" / "sessions"
CERTIFICATE: Final = "data/development-certificate.pem"

SESSIONS: Final[Mapping[str, tuple[str, tuple[Line, ...]]]] = {
    "list": (
        "What a server has",
        (
            Line(words="wiredaemon list hgrpc://127.0.0.1:8010/"),
            Line(words="wiredaemon describe hgrpc://127.0.0.1:8010/ greet"),
        ),
    ),
    "call": (
        "Calls",
        (
            Line(words="wiredaemon call hgrpc://127.0.0.1:8010/ greet name=you times=2"),
            Line(words="wiredaemon call http://127.0.0.1:8000/ weather places=Rome"),
            Line(words="wiredaemon call --output json unix:$PWD/socket weather places=Rome,Oslo"),
            Line(words="wiredaemon call hgrpc://127.0.0.1:8010/ export", until="images.tar"),
        ),
    ),
    "errors": (
        "Errors",
        (
            Line(
                words="wiredaemon call hgrpc://127.0.0.1:8010/ greet name=you times=many; echo $?"
            ),
            Line(words="wiredaemon describe hgrpc://127.0.0.1:8010/ wether"),
            Line(words="wiredaemon call http://127.0.0.1:8000/ rename to=x; echo $?"),
            Line(words="wiredaemon call http://127.0.0.1:8010/ greet; echo $?"),
            Line(words="wiredaemon call --deadline 0.5 hgrpc://127.0.0.1:8010/ export; echo $?"),
        ),
    ),
    "ping": (
        "How far away",
        (Line(words=f"wiredaemon ping --ca {CERTIFICATE} hgrpcs://127.0.0.1:8011/"),),
    ),
    "bench": (
        "How fast",
        (Line(words="wiredaemon bench -n 2000 -c 8 hgrpc://127.0.0.1:8010/ greet name=you"),),
    ),
    "doctor": ("Before the start", (Line(words="wiredaemon doctor --config team.toml"),)),
}
"""The name of each picture, its title, and its shell lines."""

_LISTENERS: Final = {"http": 8000, "framed": 8010, "framed_tls": 8011}
_CONFIGURATION: Final = """
[listen]
http = ["tcp:0:interface=127.0.0.1"]
framed = ["tcp:0:interface=127.0.0.1", "unix:socket"]
framed_tls = ["tcp:0:interface=127.0.0.1"]

[paths]

[commands]
load = ["commands.py"]
"""
# For the doctor: with a password that is guessed too quickly, and no folder of repositories.
_TEAM: Final = """
[data]
folder = "data"

[listen]
https = ["tcp:0:interface=127.0.0.1"]

[auth]
htpasswd = "users.htpasswd"

[paths]
"/team/*" = "repositories/*"
"""
_LISTENING: Final = re.compile(r" (\w+) listening on \w+://127\.0\.0\.1:(\d+)/")


def _environment() -> dict[str, str]:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return {**kept, "PATH": path, "PYTHONPATH": str(_ROOT)}


def _ports(lines: Iterator[str]) -> dict[str, str]:
    """Read the log until the daemon is ready, and return its addresses with those of pictures."""
    found = {}
    for line in lines:
        if match := _LISTENING.search(line):
            found[f"127.0.0.1:{match[2]}"] = f"127.0.0.1:{_LISTENERS[match[1]]}"
        if "wiredaemon is ready" in line:
            return found
    raise RuntimeError("the daemon has not started")


def _others(folder: Path) -> dict[str, str]:
    """Return what else is of this machine, with what is shown."""
    user = getpass.getuser()
    return {
        str(folder): "/srv/wiredaemon",
        f" for {tempfile.gettempdir()}\r": " for /tmp\r",
        f" {user} may ": " hg may ",
        f" let {user} ": " let hg ",
        "tcp:0:": "tcp:8443:",
    }


@contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """Run the daemon in an empty folder; gives the place of the lines."""
    (folder / "wiredaemon.toml").write_text(_CONFIGURATION, "utf-8")
    (folder / "commands.py").write_text(
        Path(__file__).with_name("commands.py").read_text("utf-8"), "utf-8"
    )
    (folder / "team.toml").write_text(_TEAM, "utf-8")
    passwords = folder / "users.htpasswd"
    passwords.write_text("ann:$apr1$Ud8sVpDq$pHM5Gn0gTmMT7Ah6rpZzB0\n", "utf-8")
    # So that everybody may read it.
    passwords.chmod(0o644)
    variables = _environment()
    with subprocess.Popen(
        [sys.executable, "-m", "wiredaemon", "serve", "--config", "wiredaemon.toml"],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as daemon:
        try:
            assert daemon.stdout is not None  # noqa: S101 as Popen was told
            ports = _ports(daemon.stdout)
            yield Place(folder=folder, variables=variables, shown={**ports, **_others(folder)})
        finally:
            daemon.terminate()


def pictures(place: Place) -> Iterator[tuple[str, str]]:
    """Run all sessions; gives the name and the SVG of each."""
    for name, (title, lines) in SESSIONS.items():
        yield name, draw(name, title, [(line.words, place.record(line)) for line in lines])


def main() -> None:
    """Write all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder).resolve()) as place:
        for name, picture in pictures(place):
            file = PICTURES / f"{name}.svg"
            file.write_text(picture, "utf-8")
            print(file.relative_to(_ROOT), len(picture))


if __name__ == "__main__":
    main()
