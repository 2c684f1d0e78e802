"""One raw connection under any order of reads, pauses and commands that finish: nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from support import peers
from support.raw import Raw, result
from support.responding import make_command
from support.web import FakeHost, settings_of
from twisted.internet.defer import Deferred

from wiredaemon.net.responding import context, data_input, deadlines, responder
from wiredaemon.protocol import open_requests, open_responses, requests
from wiredaemon.wire import frames
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from wiredaemon.net.hosting.host import Settings

SMALL: Final = Limits(buffered_data=64, output_high=300)


class Kind(NamedTuple):
    """What the limits are, and what may then be asked without breaking one."""

    limits: Limits
    largest_read: int
    largest_data: int
    """-1 for none at all."""
    largest_cut: int
    """Bytes of a request in one frame."""


KINDS: Final = (
    # More requests than may wait.
    Kind(replace(SMALL, concurrent_requests=4, running_commands=2), 500, -1, 100),
    # More commands than may run: data of one that has not begun must fit the buffer.
    Kind(replace(SMALL, running_commands=2), 500, 40, 40),
    # More data than may wait: reads in front of that count.
    Kind(replace(SMALL, running_commands=50), 30, 300, 40),
)
NAMES: Final = ("plain", "gated", "objects", "awaited", "counted", "gated_data", "unheard")
OBJECT: Final = b"x" * 90


class Asking(FakeHost):
    """A host whose settings must be asked for whenever the test says so."""

    def __init__(self, commands: list[Any]) -> None:
        super().__init__(commands)
        self.asked: list[Deferred[Settings]] = []
        self.is_known = True
        self._settings = settings_of()

    def settings(self) -> Settings | Deferred[Settings]:
        if self.is_known:
            return self._settings
        self.asked.append(Deferred())
        return self.asked[-1]

    def tell(self) -> bool:
        """Let the first one who waits know; says whether there was one."""
        if not self.asked:
            return False
        self.asked.pop(0).callback(self._settings)
        return True


class Exchange:
    """A connection, what is on its way to it, and what its commands wait for."""

    def __init__(self, dialect: str, limits: Limits) -> None:
        self.dialect = dialect
        self._gates: list[Deferred[None]] = []
        functions = self._functions()
        without_data = [make_command(one) for one in functions[:4]]
        self.host = Asking(
            without_data + [make_command(one, has_data=True) for one in functions[4:]]
        )
        self.raw = Raw(dialect, host=self.host, limits=limits)
        self.is_output_paused = False
        self.unread = b""
        self.expected: dict[int, bytes] = {}
        self.refused: set[int] = set()

    def _functions(self) -> list[Any]:
        def plain(_: Any) -> bytes:
            return b"plain"

        async def gated(_: Any) -> bytes:
            await self._gate()
            return b"gated"

        def objects(_: Any) -> Iterator[bytes]:
            for _number in range(9):
                yield OBJECT

        async def awaited(_: Any) -> AsyncIterator[bytes]:
            for _number in range(3):
                await self._gate()
                yield OBJECT

        async def counted(context: Any) -> int:
            return sum([len(piece) async for piece in context.data])

        async def gated_data(context: Any) -> int:
            await self._gate()
            return len(await context.data.read())

        return [plain, gated, objects, awaited, counted, gated_data]

    def _gate(self) -> Deferred[None]:
        self._gates.append(Deferred())
        return self._gates[-1]

    def ask(self, name: str, size: int, cut: int) -> None:
        """Put a request on its way."""
        request_id = 2 * len(self.expected) + 1
        data = None if size < 0 else bytes(size)
        frames = peers.request_frames(self.dialect, request_id, name.encode(), data=data, cut=cut)
        self.unread += b"".join(frames)
        several: dict[str, list[object]] = {
            "objects": [OBJECT] * 9,
            "awaited": [OBJECT] * 3,
            "counted": [max(size, 0)],
            "gated_data": [max(size, 0)],
        }
        objects = several.get(name, [name.encode()])
        self.expected[request_id] = result(self.dialect, *objects)
        if name == "unheard":
            self.refused.add(request_id)

    # --- what may happen; each says whether it did -------------------------------------------

    def read(self, size: int) -> bool:
        """Some bytes arrive."""
        if not self.unread or self.raw.transport.is_paused():
            return False
        data, self.unread = self.unread[:size], self.unread[size:]
        self.raw.receive(data)
        return True

    def open(self, number: int) -> bool:
        """One of the things that commands wait for comes."""
        if not self._gates:
            return False
        self._gates.pop(number % len(self._gates)).callback(None)
        return True

    def pause(self) -> bool:
        """The transport has enough to send."""
        if self.is_output_paused or not self.raw.has_producer():
            return False
        self.is_output_paused = True
        self.raw.pause()
        return True

    def resume(self) -> bool:
        """The transport has sent it."""
        if not self.is_output_paused:
            return False
        self.is_output_paused = False
        self.raw.resume()
        return True

    def turn(self) -> bool:
        """The reactor turns."""
        due = bool(self.raw.clock.getDelayedCalls())
        self.raw.clock.advance(0)
        return due

    def finish(self, size: int) -> None:
        """Let everything happen that still can."""
        self.host.is_known = True
        while self.resume() or self.turn() or self.read(size) or self.host.tell() or self.open(0):
            pass


SHARED: Final = {
    f"{module.__name__}.{name}": empty
    for module in (
        *(context, data_input, deadlines, responder),
        *(frames, open_requests, open_responses, requests),
    )
    for name, empty in vars(module).items()
    if name.startswith("_NO") and isinstance(empty, dict | list | set)
}
"""Empty containers that all connections share until they need their own."""


def test_connections_share_what_is_empty() -> None:
    assert len(SHARED) == 10


@settings(deadline=None)
@given(data=st.data())
def test_every_request_is_answered_once_whatever_comes_first(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(["0003", "0005", "0006"]))
    kind = data.draw(st.sampled_from(KINDS))
    exchange = Exchange(dialect, kind.limits)
    requests = st.tuples(
        st.sampled_from(NAMES),
        st.integers(-1, kind.largest_data),
        st.just(100) if kind.largest_cut == 100 else st.integers(15, kind.largest_cut),
    )
    for name, size, cut in data.draw(st.lists(requests, min_size=1, max_size=14)):
        exchange.ask(name, size, cut)
    steps = st.one_of(
        st.tuples(st.just("read"), st.integers(1, kind.largest_read)),
        st.tuples(st.just("open"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["pause", "resume", "turn", "ask", "know", "tell"]), st.just(0)),
    )
    for step, number in data.draw(st.lists(steps, max_size=60)):
        match step:
            case "read":
                exchange.read(number)
            case "open":
                exchange.open(number)
            case "ask":
                exchange.host.is_known = False
            case "know":
                exchange.host.is_known = True
            case "tell":
                exchange.host.tell()
            case _:
                getattr(exchange, step)()
        assert exchange.raw.transport.is_open()
    exchange.finish(kind.largest_read)
    assert exchange.unread == b""
    answers = exchange.raw.answers
    assert set(answers) == set(exchange.expected)
    given_to = {key: one.content for key, one in answers.items() if key not in exchange.refused}
    assert given_to == {
        key: one for key, one in exchange.expected.items() if key not in exchange.refused
    }
    assert not exchange.raw.transport.is_paused()
    assert exchange.raw.transport.is_open()
    exchange.raw.end()
    assert exchange.raw.transport.is_closed()
    assert not exchange.raw.transport.is_aborted()
    assert [name for name, empty in SHARED.items() if empty] == []
