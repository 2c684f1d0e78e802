"""The example of docs/sansio.md is run as it stands there."""

from __future__ import annotations

from typing import Any

from support.documents import blocks


def example() -> str:
    (code,) = blocks("docs/sansio.md", "python")
    return code


def test_the_example_adds_numbers_over_a_connection_in_memory() -> None:
    names: dict[str, Any] = {}
    exec(compile(example(), "sansio.md", "exec"), names)  # noqa: S102 the document's own code
    assert names["objects"] == [6]


def test_the_example_answers_a_command_that_it_does_not_know() -> None:
    names: dict[str, Any] = {}
    exec(compile(example(), "sansio.md", "exec"), names)  # noqa: S102 the document's own code
    client = names["client"]
    client.send_command(b"other", {})
    sent = b"".join(header + payload for header, payload in client.data_to_send())
    reader = names["response_reader"](names["dialect"], names["limits"])
    for event in client.receive_data(names["serve"](sent)):
        reader.receive_event(event)
    assert (reader.error.message, reader.error.arguments) == (b"unknown command %s", [b"other"])
