"""``api`` below a repository's path: the index of APIs, an API, and its commands.

The rules decide on the head of a request; this resource applies them, remembers the requests that
they accepted, and passes the body to its receiver.

Source: http, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.web.resource import Resource

from wiredaemon.net.api.framed_exchange import FramedExchange
from wiredaemon.net.api.reflection import Reflection
from wiredaemon.net.api.rules import Accepted, CommandHead, Reflected, check_api_path, check_command
from wiredaemon.net.http.application import decide
from wiredaemon.net.http.responses import HttpResponse
from wiredaemon.net.responding.context import Origin

if TYPE_CHECKING:
    from wiredaemon.commands import Peer
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.hosting.decision_cache import DecisionCache
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.net.http.application import Application
    from wiredaemon.net.http.request import HeadReceiver, StreamingRequest

COMMAND_DEPTH: Final = 3
"""Components after ``api`` that name a command; further ones are ignored."""


class Question(NamedTuple):
    """Everything that a decision on a command depends on, except the peer and the settings."""

    host: Host
    """The host, whose registry knows the command."""
    api: bytes
    """The API's name."""
    head: CommandHead


class ApiResource(Resource):
    """``api`` and the paths below, for one host."""

    isLeaf = True

    def __init__(
        self,
        application: Application,
        decisions: DecisionCache[Accepted],
        host: Host,
        path: Names,
        *,
        again: HeadReceiver | None = None,
    ) -> None:
        """Stand for a path.

        Args:
            application: The application that all resources share.
            decisions: The site's cache of accepted requests.
            host: The host at the path in front of ``api``.
            path: The components after ``api``.
            again: The resource to remember with a head in place of this one, where the same path
                may lead to another host later.
        """
        super().__init__()
        self._application = application
        self._decisions = decisions
        self._host = host
        self._path = path[:COMMAND_DEPTH]
        self._again = again

    def headers_received(self, request: StreamingRequest) -> None:
        """Decide as soon as the host's settings are known."""
        decide(request, self._host, self._on_settings)

    def _on_settings(self, request: StreamingRequest, settings: Settings) -> None:
        # Rows 1 to 6 look at nothing but the path, and any method may ask (http, section 3.1).
        if len(self._path) < COMMAND_DEPTH:
            found = check_api_path(self._application.apis, settings.switches, self._path)
            if isinstance(found, HttpResponse):
                request.answer(found)
            return
        peer = request.peer()
        question = request.question
        if question is None:
            question = self._question(request)
        accepted = self._decisions.find(settings, peer, question)
        if accepted is None:
            accepted = self._decide(request, settings, peer, question)
            if accepted is None:
                return
            if request.may_be_remembered:
                # Only then is the question known to be short: the head has at most 1 KiB.
                self._decisions.remember(settings, peer, question, accepted)
        if request.question is None:
            # After the decision: a head that is refused is never remembered, so that guesses fill
            # nobody's memory.
            request.remember(question, self._again or self)
        self._receive_frames(request, settings, peer, accepted)

    def _question(self, request: StreamingRequest) -> Question:
        name, permission, command = self._path
        head = CommandHead(
            method=request.method,
            permission=permission,
            command=command,
            accept=request.header(b"Accept"),
            content_type=request.header(b"Content-Type"),
        )
        return Question(self._host, name, head)

    def _decide(
        self, request: StreamingRequest, settings: Settings, peer: Peer, question: Question
    ) -> Accepted | None:
        """Apply the rules; return None if they have answered the request or passed its body on."""
        api = check_api_path(self._application.apis, settings.switches, self._path)
        if isinstance(api, HttpResponse):
            request.answer(api)
            return None
        switches, access = settings.switches, settings.access
        match check_command(api, switches, access, self._host.registry, question.head, peer):
            case HttpResponse() as response:
                request.answer(response)
            case Reflected(dialect=dialect):
                request.body.claim(Reflection(request, dialect, self._application.limits))
            case Accepted() as accepted:
                return accepted
        return None

    def _receive_frames(
        self, request: StreamingRequest, settings: Settings, peer: Peer, accepted: Accepted
    ) -> None:
        application = self._application
        origin = Origin(
            host=self._host,
            settings=settings,
            framings=accepted.framings,
            dialect=accepted.dialect,
            peer=peer,
            permission=accepted.permission,
        )
        request.body.claim(
            FramedExchange(
                request,
                accepted,
                origin,
                threads=application.guard.threads,
                limits=application.limits,
                turns=application.guard.turns,
                room=application.guard.memory.room,
                calls=application.guard.calls["http"],
            )
        )
