from __future__ import annotations

from wiredaemon.commands.results import CommandError, ServerError, WithOutput


def test_a_command_error_keeps_its_format_and_what_fills_it() -> None:
    error = CommandError(b"unknown node: %s", [b"\xff\x00"])
    assert (error.message, error.arguments) == (b"unknown node: %s", (b"\xff\x00",))


def test_a_command_error_reads_as_its_formatted_text() -> None:
    error = CommandError("%s key not present in %s revision specifier", ["nodes", b"some"])
    assert str(error) == "nodes key not present in some revision specifier"


def test_text_in_errors_becomes_utf_8_and_escaped_bytes_become_themselves() -> None:
    error = CommandError("gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n %s", ["\udcff"])
    assert (error.message, error.arguments) == (b"gr\xc3\xbcn %s", (b"\xff",))
    assert ServerError("\udcff").text == b"\xff"


def test_an_argument_with_a_percent_sign_is_shown_as_it_is() -> None:
    assert str(CommandError("unknown file: %s", ["100%s %% %d"])) == "unknown file: 100%s %% %d"


def test_a_percent_sign_that_stands_for_nothing_breaks_no_message() -> None:
    assert str(CommandError("100%, %d, %s and %")) == "100%, %d, %s and %"


def test_bytes_that_are_no_utf_8_do_not_break_the_text_of_an_error() -> None:
    assert str(CommandError(b"\xff")) == "\N{REPLACEMENT CHARACTER}"
    assert str(ServerError(b"\xff")) == "\N{REPLACEMENT CHARACTER}"


def test_the_text_of_a_server_error_is_literal() -> None:
    error = ServerError("100%s")
    assert (error.text, str(error)) == (b"100%s", "100%s")


def test_a_result_with_output_compares_by_both() -> None:
    assert WithOutput(True, b"a") == WithOutput(True, b"a")  # noqa: FBT003 the value of a result
    assert WithOutput(True, b"a") != WithOutput(True, b"b")  # noqa: FBT003 the same
