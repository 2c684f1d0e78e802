from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tools.site_links import in_site, pages_of, shown_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The documents of a repository, of which two pages show files from outside."""
    files = {
        "docs/first.md": "# First\n",
        "docs/spec/README.md": "# Specification\n",
        "docs/contributing.md": "```{include} ../CONTRIBUTING.md\n```\n",
        "docs/findings.md": "```{include} ../findings/README.md\n```\n",
        "CONTRIBUTING.md": "# Contributing\n",
        "conf/some.toml": "",
        "findings/README.md": "# Findings\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "docs"


ROWS: Final = [
    ("first.md", "[one](spec/README.md#names)", "[one](spec/README.md#names)"),
    ("first.md", "[one](spec)", "[one](spec/README.md)"),
    ("first.md", "[`one`\ntwo](../CONTRIBUTING.md#a)", "[`one`\ntwo](contributing.md#a)"),
    ("first.md", "[conf/x](../conf/some.toml)", "{download}`conf/x <../conf/some.toml>`"),
    ("first.md", "[`conf/x`](../conf/some.toml)", "{download}`conf/x <../conf/some.toml>`"),
    ("spec/README.md", "[one](../../CONTRIBUTING.md)", "[one](../contributing.md)"),
    ("contributing.md", "[one](docs/first.md)", "[one](first.md)"),
    ("contributing.md", "[one](findings/)", "[one](findings.md)"),
    ("findings.md", "[one](../CONTRIBUTING.md)", "[one](contributing.md)"),
    ("first.md", "[one](https://example.org/)", "[one](https://example.org/)"),
    ("first.md", "[one](#here)", "[one](#here)"),
    ("first.md", "`[one](../CONTRIBUTING.md)`", "`[one](../CONTRIBUTING.md)`"),
    ("first.md", "```\n[one](../CONTRIBUTING.md)\n```", "```\n[one](../CONTRIBUTING.md)\n```"),
]


@pytest.mark.parametrize(("page", "text", "expected"), ROWS)
def test_links_lead_to_pages_and_other_files_are_downloads(
    docs: Path, page: str, text: str, expected: str
) -> None:
    file = shown_file(docs / page) or docs / page
    made = in_site(text, file=file, page=docs / page, docs=docs, pages=pages_of(docs))
    assert made == expected


def test_only_a_page_that_is_one_include_shows_another_file(docs: Path) -> None:
    assert shown_file(docs / "contributing.md") == docs.parent / "CONTRIBUTING.md"
    assert shown_file(docs / "first.md") is None
