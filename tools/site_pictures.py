"""Pictures that are light or dark, as the page around them is.

Documents have them as forges understand it: a ``picture`` with another source where the reader
prefers dark pages. In the site the reader may choose, so there both are in the page, and the
theme shows one of them by its class.
"""

from __future__ import annotations

import re
from typing import Final

_PICTURE: Final = re.compile(
    r"""<picture>
<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">
<img alt="(?P<alt>[^"]*)" src="(?P<light>[^"]+)">
</picture>
"""
)


def picture(light: str, dark: str, alt: str) -> str:
    """Return a picture as a document has it."""
    return (
        "<picture>\n"
        f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'<img alt="{alt}" src="{light}">\n'
        "</picture>\n"
    )


def in_site(text: str) -> str:
    """Return Markdown with each such picture as two images, of which the theme shows one."""
    return _PICTURE.sub(
        lambda found: "\n".join(_image(found, scheme) for scheme in ("light", "dark")), text
    )


def _image(found: re.Match[str], scheme: str) -> str:
    return f"```{{image}} {found[scheme]}\n:alt: {found['alt']}\n:class: only-{scheme}\n```\n"
