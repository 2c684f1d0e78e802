"""What tools share: exit statuses by kind of failure, colours, and help that names both."""

from __future__ import annotations

import os
import pty
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.environment import LOOPBACK
from support.logins import Users
from support.responding import ensure_deferred, make_command
from support.serving import factory_of, listening, scripted
from support.tools import TOOLS, start, told

from wiredaemon.client import (
    BrokenProtocolError,
    ClientError,
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    DeadlineError,
    HttpAnswerError,
    LoginRefusedError,
    NotOfferedError,
    SilentError,
    UntrustedError,
)
from wiredaemon.commands import CommandError, ServerError
from wiredaemon.daemon.cli import main
from wiredaemon.daemon.client_run import _is_coloured, status_of
from wiredaemon.daemon.client_status import MEANINGS, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def http(status: int) -> HttpAnswerError:
    return HttpAnswerError(status, b"reason", b"")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CommandError("no such thing"), 1),
        (ServerError("gone"), 1),
        (OSError(2, "No such file"), 1),
        (ClientError("the response has no object"), 1),
        (http(404), 1),
        (http(500), 1),
        (ConnectError("refused"), 69),
        (ConnectionLostError("lost"), 69),
        (ConnectionClosedError("closed"), 69),
        (SilentError("silent"), 69),
        (http(502), 69),
        (http(503), 69),
        (BrokenProtocolError("what?"), 76),
        (NotOfferedError("no 0005"), 76),
        (LoginRefusedError("no"), 77),
        (http(401), 77),
        (http(403), 77),
        (http(429), 77),
        (CommandError("push not authorized"), 77),
        (CommandError("pull not authorized: this login may only read"), 77),
        (CommandError("ssl required"), 77),
        (CommandError("ssl requirements"), 1),
        (UntrustedError("who?"), 78),
        (DeadlineError("late"), 124),
    ],
)
def test_each_kind_of_failure_has_its_status(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_every_status_has_a_meaning() -> None:
    assert list(MEANINGS) == list(Status)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_has_examples_and_statuses(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([tool, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: wiredaemon {tool} [OPTION ...] URL")
    assert f"examples:\n  wiredaemon {tool} " in shown
    for status, meaning in MEANINGS.items():
        assert f"\n  {status:3}  {meaning}\n" in shown
    assert all(option in shown for option in ("--ca FILE", "--netrc", "--output", "--color"))


EXAMPLES: Final = re.compile(r"^  (?:.* \| )?wiredaemon (\S+)(.*?)(?: \| jq .*)?$", re.MULTILINE)


@pytest.mark.parametrize("tool", TOOLS)
def test_examples_of_the_help_are_accepted(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    from wiredaemon.daemon.cli import _parse  # noqa: PLC0415 beside its use

    with pytest.raises(SystemExit):
        main([tool, "--help"])
    found = EXAMPLES.findall(capsys.readouterr().out)
    assert len(found) > 1
    for name, words in found:
        assert name == tool
        assert _parse([name, *words.split()]).url.startswith(("http", "hgrpc"))


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "http://localhost/", "word"],
        ["list", "--output", "raw", "http://localhost/"],
        ["describe", "http://localhost/"],
        ["ping", "-n", "0", "http://localhost/"],
        ["ping", "-n", "x", "http://localhost/"],
        ["ping", "-n", "10001", "http://localhost/"],
        ["bench", "http://localhost/", "heads", "-c", "0"],
        ["bench", "http://localhost/", "heads", "--seconds", "inf"],
        ["call", "http://localhost/", "heads", "--nosuch"],
        ["call", "http://localhost/", "heads", "--color", "some"],
    ],
)
def test_wrong_options_are_an_error_with_the_usage(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: wiredaemon")


# --- against servers -----------------------------------------------------------------------------


def read(context: Any) -> int:  # noqa: ARG001 not needed
    return 1


@ensure_deferred
async def test_a_port_that_is_closed_is_not_reached() -> None:
    async with listening(scripted()) as port:
        pass
    outcome = await told("list", f"hgrpc://{LOOPBACK}:{port}/")
    assert outcome == (69, b"", "", f"cannot connect to {LOOPBACK}:{port}: Connection refused")


@ensure_deferred
async def test_a_server_that_is_silent_is_not_reached() -> None:
    async with listening(scripted(closes=False)) as port:
        url = f"http://{LOOPBACK}:{port}/"
        outcome = await told("list", url, "--timeout", "0.05")
    assert (outcome.status, outcome.line.endswith("did not answer within 0.05 s")) == (69, True)


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_login_that_is_wrong_is_not_allowed(kind: str) -> None:
    factory = factory_of(kind, [make_command(read)], framings=["0006"], users=Users())
    async with listening(factory) as port:
        outcome = await told("list", f"{kind}://ann:wrong@localhost:{port}/")
    assert (outcome.status, outcome.output) == (77, b"")


# --- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "expected"), [("always", True), ("never", False), ("auto", False)]
)
def test_colours_are_for_terminals_or_for_who_asks(wish: str, *, expected: bool) -> None:
    assert _is_coloured(wish) is expected  # standard output of a test is no terminal


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_has_colours_unless_somebody_says_no(
    terminal: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    *,
    expected: bool,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with os.fdopen(os.dup(terminal[1]), "w") as screen:
        monkeypatch.setattr("sys.stdout", screen)
        assert _is_coloured("auto") is expected


def test_a_failure_of_the_program_is_one_line() -> None:
    with start("ping", "ftp://example.org/") as process:
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, b"")
    assert errors.startswith(b"wiredaemon: 'ftp://example.org/' must begin with one of http://")
    assert errors.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--deadline", "x"], "argument --deadline: must be a number of seconds, more than 0"),
        (["--deadline", "nan"], "argument --deadline: must be a number of seconds, more than 0"),
        (["--encoding", "x"], "argument --encoding: must be one of identity, zlib, zstd-8mb"),
        (["-n", "x"], "argument -n/--calls: must be a whole number from 1 to 10000000"),
        (["-n", "9" * 5000], "argument -n/--calls: must be a whole number from 1 to 10000000"),
        (["--nosuch"], "unrecognized arguments: --nosuch"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_may_be(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words, "http://127.0.0.1:1/", "heads"])
    assert ended.value.code == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: wiredaemon bench ")
    assert error == f"wiredaemon bench: error: {text}"


@pytest.mark.parametrize("option", ["--ca", "--cert"])
@ensure_deferred
async def test_a_file_of_certificates_that_cannot_be_used_is_1(option: str, tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing.pem", tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for file in (missing, wrong):
        outcome = await told("list", option, str(file), f"https://{LOOPBACK}:1/")
        assert outcome.status == 1
        assert f"{file} cannot be used: " in outcome.line
