"""A real browser on the index of a collection, a repository's pages and a changeset."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
from support.browser import Browser, chromium
from support.configuration import ANY_PORT
from support.daemon import Daemon
from support.environment import LOOPBACK
from support.repositories import make_repository, run_hg, write_hgrc

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD: Final = "a b & <c>'\"é%20;x"
"""A name that means something else in HTML, in URLs and in scripts unless it is escaped."""
SUMMARY: Final = "second <i>change</i> & more"
SECONDS: Final = 60.0
"""Time for all repositories to be described."""
RAW_PAGE: Final = "fetch(location).then(answer => answer.text())"


@dataclass(frozen=True, slots=True)
class Served:
    """A daemon with a collection at /team/."""

    daemon: Daemon

    def url(self, path: str) -> str:
        """Where something is."""
        return f"http://{LOOPBACK}:{self.daemon.port()}{path}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium(), tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    for name in (ODD, "one", "sub/two"):
        repository = folder / "hg" / name
        repository.parent.mkdir(parents=True, exist_ok=True)
        make_repository(repository)
        for text in ("first", SUMMARY):
            (repository / "file").write_text(f"line of {text}\n", encoding="utf-8")
            run_hg("commit", "-A", "-m", text, "-u", "Ann <ann@example.org>", folder=repository)
    write_hgrc(folder / "hg" / "one", "[web]\ndescription = <script>alert(1)</script>\n")
    text = f'[listen]\nhttp = ["{ANY_PORT}"]\n[paths]\n"/team/*" = "hg/*"\n'
    with Daemon.start(text, folder) as daemon:
        served = Served(daemon)
        # A list shows after a second what is known by then.
        end = time.monotonic() + SECONDS
        while len(list_of(served)) < 3 and time.monotonic() < end:
            pass
        yield served


def list_of(served: Served) -> list[bytes]:
    """Ask for the list of all repositories, as lines."""
    with urlopen(served.url("/team/?style=raw")) as response:  # noqa: S310 our own server
        return bytes(response.read()).splitlines()


def test_the_index_shows_names_as_they_are_and_in_its_own_style(
    browser: Browser, served: Served
) -> None:
    browser.open(served.url("/team/"))
    assert browser.texts("h1") == ["Repositories in team/"]
    assert browser.texts("tbody td:nth-child(1)") == [ODD, "one", "sub/two"]
    assert browser.texts("tbody td:nth-child(2)") == ["", "<script>alert(1)</script>", ""]
    assert browser.evaluate("document.scripts.length") == 0
    # The policy lets its style pass: both are other than a browser's own.
    assert browser.style("table", "border-collapse") == "collapse"
    assert browser.style("th", "text-align") == "left"
    assert browser.problems == []


def test_the_policy_of_the_index_keeps_scripts_out(browser: Browser, served: Served) -> None:
    browser.open(served.url("/team/"))
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'document.title = \"taken over\"'}))"
    )
    assert browser.evaluate("document.title") == "Repositories in team/"
    assert "Content Security Policy" in "".join(browser.problems)


@pytest.mark.parametrize("name", [ODD, "sub/two"])
def test_a_link_of_the_index_leads_to_a_repository_whose_scripts_run(
    browser: Browser, served: Served, name: str
) -> None:
    browser.open(served.url("/team/"))
    browser.follow(name)
    assert browser.evaluate("document.title") == f"team/{name}: log"
    assert browser.texts("tbody .description a") == [SUMMARY, "first"]
    # Dates become ages in the browser only, by hgweb's script.
    ages = browser.texts("tbody .age")
    assert [age.rpartition(" ")[2] for age in ages] == ["ago", "ago"]
    assert " ago" not in browser.evaluate(RAW_PAGE)
    # Its style sheet and its pictures have come as well.
    assert browser.style(".container", "padding-left") == "115px"
    assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert browser.problems == []


@pytest.mark.parametrize("name", [ODD, "one"])
def test_the_page_of_a_changeset_shows_what_has_changed(
    browser: Browser, served: Served, name: str
) -> None:
    browser.open(served.url("/team/"))
    browser.follow(name)
    browser.follow(SUMMARY)
    assert browser.texts(".description") == [SUMMARY]
    assert browser.texts(".minusline")[1:] == ["-line of first"]
    assert browser.texts(".plusline")[1:] == [f"+line of {SUMMARY}"]
    assert browser.style(".plusline", "color") != browser.style(".minusline", "color")
    assert " ago" in browser.texts(".age")[0]
    assert " ago" not in browser.evaluate(RAW_PAGE)
    assert browser.problems == []


def test_the_way_up_leads_from_a_repository_to_the_index(browser: Browser, served: Served) -> None:
    browser.open(served.url("/team/sub/two/"))
    browser.follow("team")
    assert browser.texts("h1") == ["Repositories in team/"]
    browser.follow("sub/two")
    assert browser.texts("tbody .description a") == [SUMMARY, "first"]
