"""How Sphinx makes the site of these documents: `make docs`.

Pages are Markdown that a forge shows as it is. Only the site has `index.md`, and pages that show
files from outside of this folder.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pygments.lexers.special import TextLexer

import wiredaemon
from tools import site_api, site_pictures
from tools.site_links import in_site, pages_of, shown_file

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_DOCS: Final = Path(__file__).resolve().parent
_PROJECT: Final = tomllib.loads((_DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = "wiredaemon"
author = "the authors of wiredaemon"
version = release = wiredaemon.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Links to headings of other pages, by the anchors that forges make.
myst_heading_anchors = 4

# The API. Docstrings are written as Google does it, and their `names` are code.
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "inherited-members": "BaseException,Enum,int",
}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# Defaults as they are written.
autodoc_preserve_defaults = True
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
default_role = "literal"
# Types in signatures that have no place here: those of others, and ours that are not public.
nitpick_ignore_regex = [
    ("py:.*", r"(?!wiredaemon\.).*"),
    ("py:.*", r"wiredaemon\..*\._\w+"),
    ("py:.*", r"wiredaemon\.service\.serving\.Serving|wiredaemon\.wire\.cbor_content\.Content"),
    ("py:.*", r"wiredaemon\.client\.blocking_runtime\.BlockingRuntime"),
]

# Quotes and dashes stay what they are: much of what is quoted is typed into files and shells.
smartquotes = False

html_theme = "furo"
html_title = f"wiredaemon {release}"
html_baseurl = _PROJECT["urls"]["Documentation"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Have pages and docstrings changed, when they are read, as modules of `tools` say."""
    pages = pages_of(_DOCS)

    def change(app: Sphinx, docname: str, content: list[str]) -> None:
        page = Path(app.env.doc2path(docname))
        file = shown_file(page) or page
        app.env.note_dependency(file)
        text = file.read_text("utf-8") if file != page else content[0]
        text = in_site(text, file=file, page=page, docs=_DOCS, pages=pages)
        content[0] = site_pictures.in_site(text)

    app.connect("source-read", change)
    # Languages of blocks for which Pygments has no lexer.
    for language in ("haproxy", "logrotate"):
        app.add_lexer(language, TextLexer)
    site_api.connect(app)
