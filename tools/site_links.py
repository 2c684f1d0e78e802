"""Links of the documents, made to lead somewhere in the site that Sphinx makes of them.

Documents are written for a forge: a link is the path to a file of the repository, from the
document's own folder. Files outside of ``docs/`` are in the site only where a page shows them, one
that holds nothing but an ``include`` of the file. Links to such files become links to their pages;
links to all others become downloads. What is shown has its own links changed in the same way.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_INCLUDE: Final = re.compile(r"```\{include\} (\S+)\n```\n")
_LINK_OR_CODE: Final = re.compile(
    r"""^```.*?^```$                             # code between fences, whose brackets are no links
    |\[(?P<words>[^\]\[]*)\]\((?P<path>[^):#\s]+)(?P<anchor>\#[^)\s]*)?\)
    |`[^`]+`                                     # the same for code within a line
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


def shown_file(page: Path) -> Path | None:
    """Return the file that a page shows, or None where the page has a text of its own."""
    found = _INCLUDE.fullmatch(page.read_text("utf-8"))
    return found and (page.parent / found[1]).resolve()


def pages_of(docs: Path) -> dict[Path, Path]:
    """Return the page of each file outside of the documents' folder that has one."""
    shown = ((shown_file(page), page) for page in docs.rglob("*.md"))
    return {file: page for file, page in shown if file is not None}


def in_site(text: str, *, file: Path, page: Path, docs: Path, pages: Mapping[Path, Path]) -> str:
    """Return Markdown with the links that it needs in the site.

    Args:
        text: What the file says.
        file: Where that stands: its links are relative to the folder of this file.
        page: The page that shows it; for a document it is the same file.
        docs: The folder of all pages.
        pages: The pages of files from outside.
    """

    def changed(found: re.Match[str]) -> str:
        words, path, anchor = found["words"], found["path"], found["anchor"] or ""
        if path is None:
            return found[0]
        target = (file.parent / path).resolve()
        if target.is_dir():
            target /= "README.md"
        target = pages.get(target, target)
        written = os.path.relpath(target, page.parent)
        if target.is_relative_to(docs):
            return f"[{words}]({written}{anchor})"
        return f"{{download}}`{words.strip('`')} <{written}>`"

    return _LINK_OR_CODE.sub(changed, text)
