from __future__ import annotations

import argparse
from datetime import UTC, datetime

import pytest

from wiredaemon.daemon.account_arguments import expiry
from wiredaemon.daemon.cli import main

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12h", datetime(2026, 3, 2, 0, tzinfo=UTC)),
        ("30d", datetime(2026, 3, 31, 12, tzinfo=UTC)),
        ("8w", datetime(2026, 4, 26, 12, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2030-12-31", datetime(2031, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_time_from_now_or_the_end_of_a_day(text: str, expected: datetime) -> None:
    assert expiry(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "30", "30m", "1.5d", "999999d", "2026-02-30", "9999-12-31", "soon"]
)
def test_anything_else_is_an_error_that_says_what_is_accepted(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="30d, 8w"):
        expiry(text, NOW)


def test_a_day_that_is_over_is_an_error() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="2026-02-28 is over"):
        expiry("2026-02-28", NOW)


@pytest.mark.parametrize(
    "arguments",
    [
        ["user"],
        ["user", "add", "ann"],
        ["user", "add", "--file", "a", "--config", "b", "ann"],
        ["user", "add", "--file", "a", "ann", "secret"],
        ["user", "list", "--file", "a", "ann"],
        ["token"],
        ["token", "create", "--file", "a"],
        ["token", "create", "--file", "a", "ann", "--expires", "soon"],
        ["token", "revoke", "--file", "a"],
    ],
)
def test_wrong_arguments_are_an_error_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: wiredaemon" in capsys.readouterr().err
