"""``wiredaemon user``, in this process, and on a terminal of its own for what it asks."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from support.accounts import add_token, quick_hash, write_htpasswd

from wiredaemon.accounts.bcrypt_hashes import is_password
from wiredaemon.accounts.files import read_text
from wiredaemon.accounts.htpasswd import parse_htpasswd
from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Type = Callable[[bytes], None]

PROGRAM: Final = "import sys; from wiredaemon.daemon.cli import main; sys.exit(main())"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users"


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Makes bytes the standard input."""

    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def has_password(file: Path, name: str, password: bytes) -> bool:
    is_known, hashed = parse_htpasswd(file, read_text(file)).find(name, 0)
    return is_known and is_password(password, hashed)


def test_a_user_is_added_to_a_new_file(
    file: Path, give: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    give(b"s\xc3\xa4cret \n")
    assert main(["user", "add", "--file", str(file), "--stdin", "ann"]) == 0
    assert capsys.readouterr() == (f"added ann to {file}\n", "")
    assert has_password(file, "ann", "säcret ".encode())
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_configuration_names_the_file(tmp_path: Path, give: Type) -> None:
    config = tmp_path / "a.toml"
    config.write_text('[auth]\nhtpasswd = "people"\n')
    give(b"secret")
    assert main(["user", "add", "--config", str(config), "ann", "--stdin"]) == 0
    assert has_password(tmp_path / "people", "ann", b"secret")
    assert main(["check-config", str(config)]) == 0


def test_a_configuration_without_the_file_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "a.toml"
    config.touch()
    assert main(["user", "list", "--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith(f"wiredaemon: {config}: auth.htpasswd: not set")


def test_comments_and_other_lines_stay_as_they_are(file: Path, give: Type) -> None:
    ann, bob = quick_hash(b"a"), quick_hash(b"b")
    file.write_text(f"# people\n\nann:{ann}\n  # ann: the boss\n bob:{bob} ")
    give(b"new\n")
    assert main(["user", "passwd", "--file", str(file), "--stdin", "ann"]) == 0
    lines = file.read_text().split("\n")
    assert lines[:2] + lines[3:] == ["# people", "", "  # ann: the boss", f" bob:{bob} "]
    assert has_password(file, "ann", b"new")
    give(b"c")
    assert main(["user", "add", "--file", str(file), "--stdin", "carl"]) == 0
    assert main(["user", "remove", "--file", str(file), "ann"]) == 0
    text = file.read_text()
    assert text.startswith(f"# people\n\n  # ann: the boss\n bob:{bob} \ncarl:$2b$12$")
    assert text.endswith("\n")


def test_list_prints_the_names(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_htpasswd(file, bob="b", ann="a")
    assert main(["user", "list", "--file", str(file)]) == 0
    assert capsys.readouterr() == ("bob\nann\n", "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["add", "ann", "--stdin"], "ann is in {file} already; `wiredaemon user passwd` changes"),
        (["add", "a:b", "--stdin"], "a name has no white space, colon or comma"),
        (["add", "@crew", "--stdin"], "a name does not begin with @"),
        (["passwd", "eve", "--stdin"], "eve is not in {file}"),
        (["remove", "eve"], "eve is not in {file}"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(
    file: Path, give: Type, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    write_htpasswd(file, ann="a")
    before = file.read_text()
    give(b"secret\n")
    assert main(["user", *arguments, "--file", str(file)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"wiredaemon: {problem.format(file=file)}")
    assert errors.count("\n") == 1
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the password is empty"),
        (b"\n", "the password is empty"),
        (b"one\ntwo\n", "the password has control characters"),
        (b"x" * 73, "the password has more than 72 bytes"),
        (b"x" * 100_000, "the password has more than 72 bytes"),
    ],
)
def test_what_is_no_password_is_refused(
    file: Path, give: Type, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    give(content)
    assert main(["user", "add", "--file", str(file), "--stdin", "ann"]) == 1
    assert problem in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize("action", ["list", "remove", "passwd"])
def test_a_missing_file_is_an_error_and_is_not_made(
    file: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    name = [] if action == "list" else ["ann"]
    assert main(["user", action, "--file", str(file), *name]) == 1
    assert "no such file" in capsys.readouterr().err.lower()
    assert not file.exists()


def test_without_a_terminal_it_does_not_wait_for_one(
    file: Path, give: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    give(b"secret\n")
    assert main(["user", "add", "--file", str(file), "ann"]) == 1
    assert "--stdin reads one" in capsys.readouterr().err


def test_hashes_of_other_kinds_are_replaced_one_after_the_other(
    file: Path, give: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("ann:$apr1$abc$def\nbob:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=\n")
    give(b"new\n")
    assert main(["user", "passwd", "--file", str(file), "--stdin", "ann"]) == 0
    assert "users line 2: the password of bob cannot be used" in capsys.readouterr().err
    assert main(["user", "remove", "--file", str(file), "bob"]) == 0
    assert capsys.readouterr().err == ""
    assert has_password(file, "ann", b"new")


@pytest.mark.parametrize("action", ["add", "passwd", "remove"])
def test_a_file_that_is_something_else_is_not_touched(
    file: Path, give: Type, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    before = "ann:x:0:0:ann:/home/ann:/bin/sh\n"
    file.write_text(before)
    give(b"secret\n")
    stdin = [] if action == "remove" else ["--stdin"]
    assert main(["user", action, "--file", str(file), "ann", *stdin]) == 1
    assert f"{file} line 1: " in capsys.readouterr().err
    assert file.read_text() == before


def test_tokens_that_a_removed_user_leaves_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "a.toml"
    config.write_text('[auth]\nhtpasswd = "users"\ntokens = "tokens"\n')
    write_htpasswd(tmp_path / "users", ann="a")
    _, left = add_token(tmp_path / "tokens", "ann")
    add_token(tmp_path / "tokens", "bob")
    assert main(["user", "remove", "--config", str(config), "ann"]) == 0
    assert capsys.readouterr().err.endswith(f"`wiredaemon token revoke` each of {left.id}\n")


def asked(arguments: list[str], answers: list[bytes]) -> tuple[int, bytes]:
    """Run the program on a terminal, answer its prompts; return its status and what was shown."""
    ours, theirs = pty.openpty()
    shown = b""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        for answer in answers:
            # The prompt comes after the echo was turned off.
            read = b""
            while not read.endswith(b": "):
                read += os.read(ours, 1024)
            shown += read
            os.write(ours, answer)
        try:
            while more := os.read(ours, 1024):
                shown += more
        except OSError:
            # The other side is closed.
            pass
        os.close(ours)
    return process.returncode, shown


def test_a_password_is_asked_for_twice_and_not_shown(file: Path) -> None:
    status, shown = asked(["user", "add", "--file", str(file), "ann"], [b"geheim\n", b"geheim\n"])
    assert status == 0
    assert shown.startswith(b"New password of ann: ")
    assert b"The same again: " in shown
    assert b"geheim" not in shown
    assert has_password(file, "ann", b"geheim")


def test_two_passwords_that_differ_change_nothing(file: Path) -> None:
    write_htpasswd(file, ann="old")
    status, shown = asked(["user", "passwd", "--file", str(file), "ann"], [b"one\n", b"two\n"])
    assert status == 1
    assert b"the two passwords differ; nothing was changed" in shown
    assert has_password(file, "ann", b"old")


def test_nobody_is_asked_for_the_password_of_a_user_who_is_there(file: Path) -> None:
    write_htpasswd(file, ann="old")
    status, shown = asked(["user", "add", "--file", str(file), "ann"], [])
    assert (status, b"already" in shown) == (1, True)
