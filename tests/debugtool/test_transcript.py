"""The lines of transcripts, of both eras."""

from __future__ import annotations

from io import BytesIO

import pytest

from wiredaemon.debugtool.eras import ERAS
from wiredaemon.debugtool.transcript import Detail, Transcript

DATA = b"\t'\"\\\x00\x7f\xff\ra\r\n\nb"


@pytest.mark.parametrize(
    ("dialect", "lines"),
    [
        ("0002", ["\t'\"\\\\\\x00\\x7f\\xff\\r", "a\\r\\n", "\\n", "b"]),
        ("0003", ["\\t\\'\"\\\\\\x00\\x7f\\xff\\r", "a\\r\\n", "\\n", "b"]),
    ],
)
def test_data_is_escaped_and_split(dialect: str, lines: list[str]) -> None:
    output = BytesIO()
    Transcript(output, ERAS[dialect], Detail.BYTES).data("read(9) -> 9", DATA)
    assert output.getvalue().decode() == "".join(f"s>     {line}\n" for line in lines)


def test_calls_are_shown_in_front_of_data_or_with_it() -> None:
    output = BytesIO()
    transcript = Transcript(output, ERAS["0006"], Detail.CALLS)
    transcript.data("read(2) -> 2", b"\r\n")
    transcript.data("read(0) -> 0", b"")
    transcript.data("read(1) -> 1", b"\r")
    assert output.getvalue() == (
        b"s> read(2) -> 2:\ns>     \\r\\n\ns> read(0) -> 0: \ns> read(1) -> 1: \\r\n"
    )


def test_without_detail_and_in_silence_only_results_are_shown() -> None:
    output = BytesIO()
    transcript = Transcript(output, ERAS["0003"], Detail.RESULTS)
    transcript.data("read(1) -> 1", b"a")
    transcript.frame("received")
    loud = Transcript(output, ERAS["0003"], Detail.CALLS)
    with loud.silence(if_=True):
        loud.data("read(1) -> 1", b"a")
        loud.say("response")
    with loud.silence(if_=False):
        loud.frame("received")
    assert output.getvalue() == b"response\nreceived\n"
