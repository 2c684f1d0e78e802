"""Following one page: each file is written, each line is typed, and what it prints is compared."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.newcomer.matching import matches
from tools.newcomer.page import CommandStep, FileStep, files_of, steps_of
from tools.newcomer.ports import own_ports, replaced
from tools.newcomer.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.newcomer.page import Step

_FOREIGN: Final = ("HG", "PIP_", "PYTHON", "VIRTUAL_ENV", "WIREDAEMON")
"""The variables of settings that a newcomer does not have begin with one of these."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a page."""

    files: int
    lines: int
    failure: str
    """The first difference from the page, with its line; empty if there is none."""


def variables(home: Path, wheels: Path, *, has_index: bool) -> dict[str, str]:
    """The environment of somebody who has just logged in.

    Args:
        home: The folder of settings, which is made empty.
        wheels: A folder in which ``pip`` finds the project.
        has_index: Whether ``pip`` may ask its index for all else.
    """
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    kept |= {"HOME": str(home), "TMPDIR": str(home), "PATH": _path()}
    if not has_index:
        # A test: what is imported is compiled then, and that is a quarter of what is installed.
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_COMPILE": "0"}
        return {**kept, **pip}
    settings = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    links = " ".join([str(wheels), settings.get("PIP_FIND_LINKS", "")])
    return {**kept, **settings, "PIP_FIND_LINKS": links}


def _path() -> str:
    """Where programs are looked for: not in this environment, but in the one of its Python."""
    own = Path(sys.executable).parent
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    others = [folder for folder in folders if Path(folder) != own]
    return os.pathsep.join([str(Path(sys.base_prefix) / "bin"), *others])


def follow(
    pages: Sequence[Path],
    folder: Path,
    environment: Mapping[str, str],
    *,
    program: Path | None = None,
) -> Outcome:
    """Do what pages say, one after the other, in a folder and a shell that are theirs.

    Args:
        pages: The first begins the task, the others go on with what it has left.
        folder: Where the files are written, made here.
        environment: As `variables` gives it.
        program: A folder whose files are copied first.
    """
    folder.mkdir(parents=True)
    steps = [(program, step) for step in files_of(program)] if program else []
    steps += [(page, step) for page in pages for step in steps_of(page)]
    ports = own_ports(_text(step) for _, step in steps)
    files = lines = 0
    failure = ""
    with Terminal(folder, environment) as terminal:
        for page, step in steps:
            if isinstance(step, FileStep):
                files += 1
                _write(step, folder, ports)
                continue
            lines += 1
            if failure := _type(step, terminal, ports):
                failure = f"{page.name}:{step.line}: {failure}"
                break
    return Outcome(files=files, lines=lines, failure=failure)


def _text(step: Step) -> str:
    return step.text if isinstance(step, FileStep) else step.command + step.expected


def _write(step: FileStep, folder: Path, ports: Mapping[str, str]) -> None:
    file = folder / step.path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a" if step.is_continued else "w", encoding="utf-8") as output:
        output.write(replaced(step.text, ports))


def _type(step: CommandStep, terminal: Terminal, ports: Mapping[str, str]) -> str:
    """Type a line; return the difference from the page, empty if there is none."""
    command, expected = replaced(step.command, ports), replaced(step.expected, ports)
    if step.keeps_running:
        printed = terminal.leave_running(command, expected)
    else:
        printed = terminal.run(command)
    if matches(expected, printed, goes_on=step.keeps_running):
        return ""
    shown = replaced(printed, {own: named for named, own in ports.items()})
    return f"$ {step.command}printed\n{shown}\nwhere the page shows\n{step.expected}"
