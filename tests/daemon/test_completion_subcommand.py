"""Completion, asked for by keys in real shells on terminals; of fish by its own command."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import environment

from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from pathlib import Path

WORDS: Final = [
    ("wiredaemon doct\t", "doctor"),
    ("wiredaemon user pas\t", "user passwd"),
    ("wiredaemon doctor --outp\tjs\t", "doctor --output json"),
    ("wiredaemon doctor --config the-\t", "doctor --config the-file.toml"),
    ("wiredaemon init the-\t", "init the-folder/"),
    ("wiredaemon completion zs\t", "completion zsh"),
]
"""What is typed, and the arguments that the program is given then."""

READY: Final = "READY> "


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the scripts, and with something to complete."""
    for shell, name in (("bash", "bash"), ("zsh", "_wiredaemon"), ("fish", "fish")):
        assert main(["completion", shell]) == 0
        (tmp_path / name).write_text(capsys.readouterr().out)
    for name in ("file.toml", "folder"):
        (tmp_path / f"work-{name}").mkdir()
    (tmp_path / "work-file.toml" / "the-file.toml").touch()
    (tmp_path / "work-folder" / "the-folder").mkdir()
    return tmp_path


def work(folder: Path, typed: str) -> Path:
    """The folder with nothing but what the words should be completed to."""
    return folder / ("work-folder" if "init" in typed else "work-file.toml")


def typed_in(shell: list[str], set_up: str, typed: str, *, where: Path) -> str:
    """What the program is given when a line is typed in a shell on a terminal."""
    terminal, own = pty.openpty()
    variables = {**environment(), "TERM": "dumb", "PS1": READY, "PROMPT": READY}
    with (
        os.fdopen(terminal, "r+b", buffering=0) as keys,
        subprocess.Popen(
            shell,
            cwd=where,
            env=variables,
            stdin=own,
            stdout=own,
            stderr=own,
            start_new_session=True,
        ) as process,
    ):
        os.close(own)
        seen = b""

        def wait_for(text: str) -> None:
            nonlocal seen
            while text.encode() not in seen:
                seen += keys.read(4096)

        wait_for(READY)
        # Written in two parts, so that the echo is not taken for the answer.
        keys.write(f'{set_up}; wiredaemon() {{ echo "GI""VEN<$*>"; }}; echo SET\'\'UP\n'.encode())
        wait_for("SETUP\r\n")
        seen = seen.partition(b"SETUP\r\n")[2]
        wait_for(READY)
        keys.write(f"{typed}\n".encode())
        wait_for(">\r\n")
        process.kill()
    return seen.decode().partition("GIVEN<")[2].partition(">\r\n")[0].strip()


@pytest.mark.parametrize(("typed", "given"), WORDS)
def test_bash_completes(folder: Path, typed: str, given: str) -> None:
    shell = ["bash", "--norc", "--noprofile", "-i"]
    set_up = f"bind 'set bell-style none'; source {folder}/bash"
    assert typed_in(shell, set_up, typed, where=work(folder, typed)) == given


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize(("typed", "given"), WORDS)
def test_zsh_completes(folder: Path, typed: str, given: str) -> None:
    set_up = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -D -u"
    # It takes the slash away again that it has put behind a folder.
    completed = typed_in(["zsh", "-f", "-i"], set_up, typed, where=work(folder, typed))
    assert completed == given.rstrip("/")


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(
    ("typed", "given"), [words for words in WORDS if words[0].count("\t") == 1]
)
def test_fish_completes(folder: Path, typed: str, given: str) -> None:
    line = typed.rstrip("\t")
    script = f"source {folder}/fish; complete --do-complete '{line}'"
    shown = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=work(folder, typed),
        env={**environment(), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # A word on each line, perhaps with its help behind a tab.
    assert [each.partition("\t")[0] for each in shown.splitlines()] == [
        given.rsplit(maxsplit=1)[-1]
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_correct_as_its_shell_sees_it(folder: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    file = folder / {"zsh": "_wiredaemon"}.get(shell, shell)
    subprocess.run([shell, "-n", file], check=True, env={**environment(), "HOME": str(folder)})


def test_a_shell_that_is_not_known_is_a_wrong_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "csh"])
    assert ended.value.code == 2
    assert "'bash', 'fish', 'zsh'" in capsys.readouterr().err
