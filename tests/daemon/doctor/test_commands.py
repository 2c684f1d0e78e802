from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from support.environment import DUMMY_COMMANDS

from wiredaemon.daemon.config import Commands, Config, Data
from wiredaemon.daemon.doctor.commands import examine_commands
from wiredaemon.daemon.doctor.finding import Finding, Level, fine

if TYPE_CHECKING:
    import pytest


def found_for(*sources: Path) -> list[Finding]:
    return list(
        examine_commands(Config(data=Data(folder=Path("/x")), commands=Commands(load=sources)))
    )


def test_the_commands_of_each_source_are_named() -> None:
    assert found_for(DUMMY_COMMANDS) == [
        fine("commands.load", f"{DUMMY_COMMANDS}: customreadonly, customreadwrite")
    ]


def test_every_source_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.py", tmp_path / "empty.py"
    broken.write_text("import nosuch_module")
    empty.touch()
    found = found_for(broken, DUMMY_COMMANDS, empty)
    assert [each.level for each in found] == [Level.ERROR, Level.FINE, Level.ERROR]
    assert found[0].text == (
        f"{broken} cannot be loaded: ModuleNotFoundError: No module named 'nosuch_module'"
    )
    assert found[2].text == f"{empty} declares no command"


def test_a_name_that_is_taken_is_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from wiredaemon.commands import Permission, command\n"
        '@command("heads", permission=Permission.RO)\n'
        "def heads(context):\n"
        "    return 1\n"
    )
    *_, found = found_for(file)
    assert found.level is Level.ERROR
    assert "command heads is declared twice" in found.text


def test_what_a_source_prints_is_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "loud.py"
    file.write_text("print('hello')")
    found_for(file)
    assert capsys.readouterr() == ("", "hello\n")
