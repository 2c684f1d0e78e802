"""What `wiredaemon call` logs in with: from the URL, files, standard input and a terminal."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.client import Password, Token, UrlError
from wiredaemon.daemon import call_login
from wiredaemon.daemon.call_files import ArgumentError
from wiredaemon.daemon.call_login import read_login
from wiredaemon.daemon.cli import _parser

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.client import Credentials


def login(*options: str, url: str = "https://example.org/") -> Credentials | None:
    return read_login(_parser().parse_args(["call", url, "heads", *options]))


class Input(io.TextIOWrapper):
    """Standard input that is perhaps a terminal."""

    def __init__(self, content: bytes, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(content))
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_bytes(b"p:w \xff\r\nsecond line\n")
    made.chmod(0o600)
    return made


def test_by_default_nothing_but_the_url_logs_in() -> None:
    assert login() is None
    assert login(url="https://ann:secret@example.org/") is None
    assert login("--user", "ann", url="https://ann:secret@example.org/") is None


def test_a_file_has_the_password_or_the_token(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert login("--user", "ann", "--password-file", str(file)) == Password("ann", b"p:w \xff")
    assert login("--token-file", str(file)) == Token(b"p:w \xff")
    named = login("--password-file", str(file), url="https://ann:other@example.org/")
    assert named == Password("ann", b"p:w \xff")
    assert capsys.readouterr().err == ""


def test_a_file_that_others_can_read_is_warned_of(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.chmod(0o644)
    login("--token-file", str(file))
    assert capsys.readouterr().err == (
        f"wiredaemon: others on this machine can read the token in {file}\n"
    )


def test_standard_input_has_it_in_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Input(b"secret\nrest", is_terminal=False)
    monkeypatch.setattr(sys, "stdin", given)
    assert login("--user", "ann", "--password-file", "-") == Password("ann", b"secret")
    assert given.buffer.read() == b"rest"


@pytest.mark.parametrize("url", ["https://example.org:1/", "https://ann@example.org:1/"])
def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr(sys, "stdin", Input(b"", is_terminal=True))
    monkeypatch.setattr(call_login, "getpass", ask)
    options = () if "@" in url else ("--user", "ann")
    assert login(*options, url=url) == Password("ann", b"secret")
    assert asked == ["Password of ann at example.org:1: "]


NETRC = """
machine example.org login ann password secret
machine example.net login eve
"""


@pytest.mark.parametrize(
    ("options", "url", "expected"),
    [
        ([], "https://example.org/", Password("ann", b"secret")),
        ([], "https://ann@example.org/", Password("ann", b"secret")),
        (["--user", "ann"], "https://example.org/", Password("ann", b"secret")),
        ([], "https://example.com/", None),
        ([], "https://ann:other@example.org/", None),
    ],
)
def test_a_netrc_file_has_the_login_of_a_host(
    tmp_path: Path, options: list[str], url: str, expected: Password | None
) -> None:
    file = tmp_path / "netrc"
    file.write_text(NETRC, encoding="utf-8")
    assert login("--netrc-file", str(file), *options, url=url) == expected


def test_the_netrc_file_is_that_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert login("--netrc") is None
    file = tmp_path / ".netrc"
    file.write_text(NETRC, encoding="utf-8")
    file.chmod(0o600)
    assert login("--netrc") == Password("ann", b"secret")


def test_a_user_who_is_not_in_the_netrc_file_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text(NETRC, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", Input(b"", is_terminal=True))
    monkeypatch.setattr(call_login, "getpass", lambda _: "asked")
    asked = login("--netrc-file", str(file), "--user", "bob")
    assert asked == Password("bob", b"asked")


def nothing(_: str) -> str:
    raise EOFError


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--user", "ann"], "there is no terminal to ask for the password of ann"),
        (["--password-file", "x"], "--password-file needs --user"),
        (["--token-file", "x", "--password-file", "y"], "--password-file is for --user"),
        (["--key", "x"], "--key needs --cert"),
        (["--token-file", "-", "--data", "-"], "standard input can be read once only"),
        (["--json", "-", "--data", "-"], "standard input can be read once only"),
        (["a=@-", "b:=@-"], "standard input can be read once only"),
        (["--user", "a", "--password-file", "-"], "there is no password in -"),
        (["--token-file", "/dev/null"], "there is no token in /dev/null"),
    ],
)
def test_what_cannot_be_is_said(
    monkeypatch: pytest.MonkeyPatch, options: list[str], text: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"", is_terminal=False))
    with pytest.raises(ArgumentError, match=text):
        login(*options)


def test_a_terminal_that_gives_nothing_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b"", is_terminal=True))
    monkeypatch.setattr(call_login, "getpass", nothing)
    with pytest.raises(ArgumentError, match="no password was given"):
        login("--user", "ann")


def test_a_missing_file_and_a_wrong_url_are_errors_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        login("--token-file", str(tmp_path / "missing"))
    with pytest.raises(UrlError):
        login("--user", "ann", url="ftp://example.org/")


def test_two_ways_at_once_are_refused(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        login("--user", "ann", "--token-file", "x")
    assert "not allowed with" in capsys.readouterr().err
