"""Calls with JSON by pages in a real browser: of the same site, and of another one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

import pytest
from support.browser import Browser, chromium
from support.configuration import EVERYBODY_WRITES, JSON_CALLS
from support.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS: Final = '''
from twisted.internet.task import deferLater

from wiredaemon.commands import Argument, ArgumentType, CommandError, Permission, command

CALLS = []


@command("add", permission=Permission.RW, arguments={"item": Argument(type=ArgumentType.TEXT)})
def add(context, item):
    CALLS.append(item)
    return len(CALLS)


@command("calls", permission=Permission.RO)
def calls(context):
    """Give what was added."""
    yield from CALLS


@command("fail", permission=Permission.RO)
async def fail(context):
    yield 1
    await deferLater(context.reactor, 0)
    raise CommandError("no more")
'''
CONFIGURATION: Final = JSON_CALLS + EVERYBODY_WRITES
LISTEN: Final = """
new Promise(done => {
    const got = [], source = new EventSource("%s");
    source.onmessage = event => got.push([event.lastEventId, event.data]);
    source.addEventListener("end", event => got.push([event.lastEventId, event.type]));
    source.addEventListener("error", event => {
        if (event.data) got.push([event.lastEventId, JSON.parse(event.data).detail]);
        if (source.readyState === EventSource.CLOSED) done(got);
    });
})
"""
"""What events there are until the browser gives up to reconnect."""
POST: Final = """
fetch("%s/json/add", {method: "POST", mode: "%s", headers: %s, body: %s}).then(
    answer => answer.type === "opaque" ? "opaque" : answer.text(), error => error.name)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium(), tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The URLs of two daemons: two origins."""
    folders = [tmp_path_factory.mktemp(name) for name in ("own", "other")]
    for folder in folders:
        (folder / "commands.py").write_text(COMMANDS, encoding="utf-8")
    with (
        Daemon.start(CONFIGURATION, folders[0]) as own,
        Daemon.start(CONFIGURATION, folders[1]) as other,
    ):
        yield [f"http://127.0.0.1:{one.port()}" for one in (own, other)]


def called(url: str) -> Any:
    with urlopen(f"{url}/json/calls") as answer:  # noqa: S310 our own server
        return json.load(answer)


def post(url: str, headers: dict[str, str], body: str, *, mode: str = "cors") -> str:
    return POST % (url, mode, json.dumps(headers), body)


def test_a_page_calls_and_listens_and_its_browser_stops_at_the_end(
    browser: Browser, daemons: list[str]
) -> None:
    own, _ = daemons
    browser.open(f"{own}/json/openapi.json")
    json_type = {"Content-Type": "application/json"}
    for number, item in enumerate(("tea", "caf\u00e9")):
        body = f"JSON.stringify({{item: {json.dumps(item)}}})"
        assert browser.evaluate(post("", json_type, body)) == f"{number + 1}\n"
    assert browser.evaluate(LISTEN % "/json/calls") == [
        ["1", '"tea"'],
        ["2", '"caf\u00e9"'],
        ["end", "end"],
    ]
    assert browser.evaluate(LISTEN % "/json/fail") == [
        ["1", "1"],
        ["end", "no more"],
    ]


def test_a_page_of_another_origin_calls_nothing_and_reads_nothing(
    browser: Browser, daemons: list[str]
) -> None:
    own, other = daemons
    browser.open(f"{other}/json/openapi.json")
    before = called(own)
    item = "JSON.stringify({item: 'bad'})"
    simple: dict[str, str] = {"Content-Type": "text/plain"}
    assert browser.evaluate(post(own, {"Content-Type": "application/json"}, item)) == "TypeError"
    assert browser.evaluate(post(own, simple, item)) == "TypeError"
    assert browser.evaluate(post(own, simple, item, mode="no-cors")) == "opaque"
    # A body that says no type.
    assert browser.evaluate(post(own, {}, f"new Blob([{item}])", mode="no-cors")) == "opaque"
    assert browser.evaluate(f"fetch('{own}/json/calls').catch(error => error.name)") == "TypeError"
    assert called(own) == before
