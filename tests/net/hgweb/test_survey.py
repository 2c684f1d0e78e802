"""A page that shows what is known after a time, while the rest is looked at for the next one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from net.hgweb.test_repository_index import described, page_of
from support.web import FakeHost, Web, ask
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from wiredaemon.net.hosting.host import Settings

MORE: Final = "More are being looked at: this page is loaded again in a moment."
DENIED: Final = described(access=AccessRules(deny_read=("*",)))
LOST: Final = Failure(ConnectionLost())


class Slow(FakeHost):
    """A host whose settings a worker has to be asked for, which is the test."""

    def __init__(self, name: str, asked: list[Slow]) -> None:
        super().__init__()
        self.name = name
        self._asked = asked
        self._known: Settings | None = None
        self._waiting: list[Deferred[Settings]] = []

    def known_settings(self) -> Settings | None:
        return self._known

    def settings(self) -> Any:
        if not self._waiting:
            self._asked.append(self)
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def answer(self, settings: Settings) -> None:
        self._known = settings
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(settings)


class Served:
    """Repositories of a collection, by number."""

    def __init__(self, folder: Path, count: int = 10, within: str = "", known: int = 100) -> None:
        self.asked: list[Slow] = []
        """The hosts whose settings were asked for, in order."""
        for number in range(count):
            (folder / within / f"{number}" / ".hg").mkdir(parents=True)
        limits = Limits(known_repositories=known)
        self.web = Web(
            limits=limits,
            hosts=HostLookup(
                {},
                [Collection(prefix="/team", folder=folder)],
                make_host=lambda path: Slow(os.path.basename(path).decode(), self.asked),  # noqa: PTH119 bytes
                limits=limits,
            ),
        )

    def answer(self, count: int, settings: Settings | None = None) -> None:
        """Let workers answer the next questions."""
        for _ in range(count):
            host = self.asked.pop(0)
            host.answer(settings or described(f"the {host.name}"))


def test_a_page_is_complete_if_all_is_known_in_time(tmp_path: Path) -> None:
    served = Served(tmp_path)
    connection = served.web.connect()
    connection.send(ask("GET", "/team"))
    served.answer(10)
    page = page_of(connection.take())
    assert len(page.cells) == 10
    assert not page.is_loaded_again
    assert MORE not in page.texts
    assert served.web.clock.getDelayedCalls() == []


def test_after_a_time_it_shows_what_is_known_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    served = Served(tmp_path)
    connection = served.web.connect()
    connection.send(ask("GET", "/team"))
    served.answer(3)
    assert connection.take() == b""
    served.web.clock.advance(1)
    page = page_of(connection.take())
    assert [name for name, *_ in page.cells] == ["0", "1", "2"]
    assert page.is_loaded_again
    assert MORE in page.texts
    # Also when its client has left.
    connection.protocol.connectionLost(LOST)
    served.answer(7)
    page = page_of(served.web.exchange(ask("GET", "/team")))
    assert len(page.cells) == 10
    assert not page.is_loaded_again
    assert served.asked == []


def test_one_request_looks_at_the_rest_however_many_ask(tmp_path: Path) -> None:
    served = Served(tmp_path, 30)
    connections = [served.web.connect() for _ in range(5)]
    for connection in connections:
        connection.send(ask("GET", "/team"))
    served.web.clock.advance(1)
    for connection in connections:
        assert page_of(connection.take()).is_loaded_again
    before = {host.name for host in served.asked}
    served.answer(len(served.asked))
    # Others stop: no repository is asked for twice.
    while served.asked:
        names = [host.name for host in served.asked]
        assert len(names) == len(set(names))
        assert before.isdisjoint(names)
        before.update(names)
        served.answer(len(names))
    assert len(page_of(served.web.exchange(ask("GET", "/team"))).cells) == 30


def test_a_page_that_lists_more_than_is_kept_waits_for_all(tmp_path: Path) -> None:
    served = Served(tmp_path, known=10)
    connection = served.web.connect()
    connection.send(ask("GET", "/team"))
    served.web.clock.advance(20)
    assert connection.take() == b""
    served.answer(10)
    page = page_of(connection.take())
    assert (len(page.cells), page.is_loaded_again) == (10, False)


def test_programs_wait_for_all(tmp_path: Path) -> None:
    served = Served(tmp_path)
    connection = served.web.connect()
    connection.send(ask("GET", "/team?style=raw"))
    served.answer(3)
    served.web.clock.advance(20)
    assert connection.take() == b""
    served.answer(7)
    assert connection.take().count(b"\n/team/") == 10


def test_a_folder_that_may_hold_nothing_for_its_reader_is_not_revealed(tmp_path: Path) -> None:
    served = Served(tmp_path, within="secret")
    connection = served.web.connect()
    connection.send(ask("GET", "/team/secret"))
    served.answer(3, DENIED)
    served.web.clock.advance(1)
    assert connection.take() == b""
    served.answer(7, DENIED)
    assert connection.take().startswith(b"HTTP/1.1 404")


def test_a_page_with_nothing_known_yet_is_loaded_again_too(tmp_path: Path) -> None:
    served = Served(tmp_path)
    connection = served.web.connect()
    connection.send(ask("GET", "/team"))
    served.web.clock.advance(1)
    page = page_of(connection.take())
    assert page.rows == []
    assert page.is_loaded_again
    assert "There is nothing to list." not in page.texts
