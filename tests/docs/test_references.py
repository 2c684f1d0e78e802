"""The references in the documents are what the code says today: ``make reference`` writes them."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tools import command_line, dialect_tables, log_messages, metrics_reference
from tools.configuration_reference import SOURCE, reference, tables
from wiredaemon.daemon.config import FRAMINGS
from wiredaemon.wire.dialects import DIALECTS

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def test_the_configuration_is_that_of_the_documented_file() -> None:
    assert text_of("configuration.md") == reference(SOURCE.read_text("utf-8")), "make reference"


def test_every_key_of_the_file_has_a_row_with_its_default() -> None:
    written = tomllib.loads(SOURCE.read_text("utf-8"))
    found = {
        f"{table.name}.{key.name}": tomllib.loads(f"it = {key.default}")["it"]
        for table in tables(SOURCE.read_text("utf-8"))
        for key in table.keys
        if table.name != "redirect.targets"
    }
    expected = {
        f"{name}.{key}": value
        for name, table in written.items()
        for key, value in table.items()
        if name not in {"api", "paths"}
    }
    expected |= {f"api.{key}": value for key, value in written["api"].items() if key != "framings"}
    expected |= {f'api.framings."{api}"': list(names) for api, names in FRAMINGS.items()}
    expected |= {f'paths."{prefix}"': folder for prefix, folder in written["paths"].items()}
    assert found == expected


def test_the_example_of_a_redirect_target_is_a_table_too() -> None:
    (target,) = [each for each in tables(SOURCE.read_text()) if each.name == "redirect.targets"]
    assert {"name", "url", "upload", "bundles"} <= {key.name for key in target.keys}
    assert "*From the next start on.*" in text_of("configuration.md").partition("[redirect.")[2]


def test_what_is_no_markup_in_the_file_is_none_in_the_document() -> None:
    made = reference('[it]\n# As "/team/*", or `a|b`; see docs/users.md.\nkey = "x"\n')
    assert r'| As "/team/\*", or `a\|b`; see [users.md](users.md). |' in made


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="argparse shows options in another way from 3.13 on"
)
def test_the_command_line_is_that_of_the_parser() -> None:
    assert text_of("command-line.md") == command_line.document(), "make reference"


def test_the_tables_of_dialects_are_those_of_the_code() -> None:
    made = dialect_tables.document()
    assert text_of("dialects.md") == made, "make reference"
    assert [name for name in DIALECTS if f"`{name}`" not in made] == []


def test_the_metrics_are_those_of_the_code() -> None:
    assert text_of("metrics.md") == metrics_reference.document(), "make reference"


def test_the_log_messages_are_those_of_the_code() -> None:
    assert text_of("log-messages.md") == log_messages.document(), "make reference"


def test_messages_have_their_module_and_the_level_that_the_log_shows() -> None:
    found = {
        (each.level, each.text)
        for part in ("daemon", "net")
        for each in log_messages.messages(part)
    }
    assert ("info", "wiredaemon is ready") in found
    assert ("critical", "a responder broke") in found
    assert {level for level, _ in found} == {"debug", "info", "warn", "error", "critical"}
    assert any(text.startswith("limit {name} ({value}) was hit by {peer}") for _, text in found)
