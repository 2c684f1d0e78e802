"""What `wiredaemon debugwireproto` refuses before it connects."""

from __future__ import annotations

from argparse import Namespace

import pytest

from wiredaemon.daemon.cli import main
from wiredaemon.daemon.debugwireproto_subcommand import era_of

NOWHERE = "http://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "unsupported connection configuration"),
        (["--localssh"], "--localssh is not supported: wiredaemon speaks no SSH"),
        (["--peer", "ssh1", NOWHERE], "--peer ssh1 not supported with HTTP peers"),
        (["--peer", "x", NOWHERE], "invalid value for --peer"),
        (["--dialect", "0001", NOWHERE], "invalid value for --dialect"),
        (["--transcript", "0001", NOWHERE], "invalid value for --transcript"),
        (["--encoding", "gzip", NOWHERE], "invalid value for --encoding"),
        (["--timeout", "nan", NOWHERE], "invalid value for --timeout"),
        (["ssh://127.0.0.1/x"], "only http:// paths are currently supported"),
        (["https://127.0.0.1/x"], "only http:// paths are currently supported"),
        (["http://ann:secret@127.0.0.1/"], "the URL names a user, and this tool logs nobody in"),
        (["http://127.0.0.1:x/"], "not a URL"),
        (["http:///x"], "the URL must be a server and a path"),
        ([NOWHERE], "error: Connection refused"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open("/dev/null", encoding="ascii") as nothing:  # noqa: PTH123 a stream with a buffer
        monkeypatch.setattr("sys.stdin", nothing)
        assert main(["debugwireproto", *arguments]) == 255
    assert capsys.readouterr().err.startswith(f"abort: {message}")


@pytest.mark.parametrize(
    ("dialect", "transcript", "framing", "agent"),
    [
        (None, None, "0006", b"Mercurial debugwireproto"),
        ("0002", None, "0002", b"mercurial/proto-1.0"),
        (None, "0002", "0002", b"mercurial/proto-1.0"),
        ("0006", "0002", "0006", b"mercurial/proto-1.0"),
        ("0002", "0006", "0002", b"Mercurial debugwireproto"),
    ],
)
def test_the_transcript_is_of_its_own_time(
    dialect: str | None, transcript: str | None, framing: str, agent: bytes
) -> None:
    era = era_of(Namespace(dialect=dialect, transcript=transcript))
    assert (era.dialect.name, era.user_agent) == (framing, agent)
