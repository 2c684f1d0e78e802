"""Each page of the documents in a browser: light and dark, on a desk and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from screenshots.pages import pictures
from support.browser import Browser, chromium
from support.site import DESKTOP, PAGES, VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST_CONTRAST: Final = 4.5
"""What WCAG 2 asks for text of usual size, at its level AA."""

PALE: Final = """
(() => {
    const channels = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const found = channels(getComputedStyle(node).backgroundColor);
            if (found.length === 3 || found[3] === 1) return found;
        }
        return [255, 255, 255];
    };
    const pale = new Set();
    for (const node of document.querySelectorAll("article *")) {
        const own = [...node.childNodes].some(
            child => child.nodeType === Node.TEXT_NODE && child.textContent.trim());
        if (!own || !node.offsetParent || node.closest("svg, .headerlink, button")) continue;
        const [one, other] = [channels(getComputedStyle(node).color), behind(node)].map(light);
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < LEAST)
            pale.add(`${node.className || node.localName}: ${contrast.toFixed(2)}`);
    }
    return [...pale];
})()
""".replace("LEAST", str(LEAST_CONTRAST))
"""The kinds of text that can hardly be told from their background."""

IS_WIDER: Final = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium(), tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_in_each_view(site: Path, browser: Browser, name: str) -> None:
    browser.open((site / f"{name}.html").as_uri())
    for view in VIEWS:
        browser.view(view.scheme, view.width, view.height)
        assert (view, browser.evaluate(PALE)) == (view, [])
        assert (view, browser.evaluate(IS_WIDER)) == (view, False)
    assert browser.problems == []


def test_light_pages_are_light_and_dark_ones_dark_with_their_own_charts(
    site: Path, browser: Browser
) -> None:
    browser.open((site / "charts.html").as_uri())
    shown = "[...document.querySelectorAll('article img')].filter(one => one.offsetParent)"
    seen = {}
    for scheme in ("light", "dark"):
        browser.view(scheme, DESKTOP, 900)
        images = browser.evaluate(f"{shown}.map(one => [one.src, one.naturalWidth > 0])")
        assert images
        assert [
            src for src, is_loaded in images if not is_loaded or f"-{scheme}.svg" not in src
        ] == []
        seen[scheme] = browser.style("body", "background-color")
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 20, 22)"}


def test_pictures_of_a_page_are_as_wide_as_its_views(site: Path, browser: Browser) -> None:
    made = dict(pictures(site, ["spec/README"], browser))
    widths = {name: int.from_bytes(picture[16:20], "big") for name, picture in made.items()}
    assert widths == {f"spec-README-{view.scheme}-{view.width}.png": view.width for view in VIEWS}
    assert len(set(made.values())) == len(VIEWS)
