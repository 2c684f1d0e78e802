"""How Sphinx makes the site of these documents: `make docs`.

Pages are Markdown that a forge shows as it is. Only the site has `index.md`, and pages that show
files from outside of this folder.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import wiredaemon
from tools.site_links import in_site, pages_of, shown_file

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_DOCS: Final = Path(__file__).resolve().parent
_PROJECT: Final = tomllib.loads((_DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = "wiredaemon"
author = "the authors of wiredaemon"
version = release = wiredaemon.__version__

extensions = ["myst_parser"]
# Links to headings of other pages, by the anchors that forges make.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"wiredaemon {release}"
html_baseurl = _PROJECT["urls"]["Documentation"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Have links changed as `tools.site_links` says, when a page is read."""
    pages = pages_of(_DOCS)

    def change(app: Sphinx, docname: str, content: list[str]) -> None:
        page = Path(app.env.doc2path(docname))
        file = shown_file(page) or page
        app.env.note_dependency(file)
        text = file.read_text("utf-8") if file != page else content[0]
        content[0] = in_site(text, file=file, page=page, docs=_DOCS, pages=pages)

    app.connect("source-read", change)
