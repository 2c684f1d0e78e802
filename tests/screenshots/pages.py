"""Pictures of the site's pages: ``PYTHONPATH=tests python -m screenshots.pages [NAME ...]``.

They are made in a headless Chromium, light and dark, wide and narrow, in ``build/screenshots``, for
somebody to look at. ``tests/interop/test_documents_in_browser.py`` has what a program can see.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.browser import Browser
from support.site import PAGES, ROOT, VIEWS, make_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER: Final = ROOT / "build" / "screenshots"


def pictures(site: Path, names: Sequence[str], browser: Browser) -> Iterator[tuple[str, bytes]]:
    """Yield a file name and a picture for each page in each view."""
    for name in names:
        browser.open((site / f"{name}.html").as_uri())
        for view in VIEWS:
            browser.view(view.scheme, view.width, view.height)
            yield f"{name.replace('/', '-')}-{view.scheme}-{view.width}.png", browser.screenshot()


def main() -> int:
    """Make pictures of the pages that are named, of all by default; return the exit status."""
    names = sys.argv[1:] or PAGES
    program = shutil.which("chromium")
    if program is None or not set(names) <= set(PAGES):
        missing = "there is no chromium" if program is None else f"pages: {', '.join(PAGES)}"
        sys.stderr.write(f"{missing}\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        site = make_site(Path(folder))
        with Browser(program, Path(folder) / "profile") as browser:
            for file, picture in pictures(site, names, browser):
                (FOLDER / file).write_bytes(picture)
    sys.stdout.write(f"{FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
