"""The peer of protocol version 2 over HTTP: the upgraded handshake, and a POST for each command.

Source: client-tool, sections 3.3 to 3.7; http, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.client.errors import ClientError
from wiredaemon.client.handshake import read_answer
from wiredaemon.commands import Permission
from wiredaemon.debugtool.errors import ScriptError, ToolError
from wiredaemon.debugtool.frames import read_frame, show_frame
from wiredaemon.debugtool.http import Request
from wiredaemon.debugtool.results import failure, shown_result
from wiredaemon.debugtool.server import ACCEPT, http_error
from wiredaemon.debugtool.values import escape, over_lines
from wiredaemon.debugtool.wire import LARGEST_BODY
from wiredaemon.protocol import ClientConnection, ConnectionFailed, ResponseDataReceived
from wiredaemon.protocol.errors import LocalProtocolError, RemoteProtocolError
from wiredaemon.protocol.objects import response_reader
from wiredaemon.wire.dialects import FrameType
from wiredaemon.wire.limits import Limits
from wiredaemon.wire.values import UnencodableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.debugtool.http import Response
    from wiredaemon.debugtool.server import Server
    from wiredaemon.protocol.objects import ObjectReader
    from wiredaemon.wire.values import Value

_OK: Final = 200
_LIMITS: Final = Limits()


class Version2Peer:
    """Sends commands of version 2, in the dialect of the era."""

    def __init__(self, server: Server, encodings: Sequence[bytes]) -> None:
        """Perform the handshake.

        Args:
            server: The server.
            encodings: The content encodings to offer, best first; only 0006 has them.

        Raises:
            ToolError: There is no connection, no repository, or no such API or framing.
        """
        self._server = server
        self._encodings = encodings
        self._base, self._commands = _shake_hands(server)

    def call(self, name: bytes, arguments: Mapping[bytes, Value]) -> None:
        """Call a command and show its result.

        Raises:
            ToolError: The call failed.
        """
        transcript = self._server.transcript
        shown = name.decode("utf-8", "backslashreplace")
        texts = over_lines(arguments, lambda data: f"'{escape(data)}'")
        self._check(shown, name, arguments)
        transcript.debug("sending 1 commands")
        transcript.debug(f"sending command {shown}: {texts}")
        dialect = self._server.era.dialect
        encodings = self._encodings if dialect.sender_settings else ()
        connection = ClientConnection(dialect, content_encodings=encodings, limits=_LIMITS)
        try:
            connection.send_command(name, arguments)
        except (LocalProtocolError, UnencodableError) as error:
            raise ScriptError(str(error)) from None
        response = self._post(name, b"".join(connection.parts_to_send()))
        objects = self._read(connection, response)
        transcript.say(f"response: {shown_result(self._server.era, name, objects)}")

    def _check(self, shown: str, name: bytes, arguments: Mapping[bytes, Value]) -> None:
        described = self._commands.get(name)
        if not isinstance(described, dict):
            raise ScriptError(f"wire protocol command {shown} is not available")
        known = described.get(b"args")
        for argument in sorted(arguments):
            if not isinstance(known, dict) or argument not in known:
                raise ScriptError(
                    f"wire protocol command {shown} does not accept argument: "
                    f"{argument.decode('utf-8', 'backslashreplace')}"
                )

    def _post(self, name: bytes, frames: bytes) -> Response:
        described = self._commands[name]
        permissions = described.get(b"permissions") if isinstance(described, dict) else None
        needs_push = isinstance(permissions, list) and Permission.RW.description in permissions
        permission = Permission.RW if needs_push else Permission.RO
        media_type = self._server.era.dialect.media_type
        path = b"/".join([self._base, permission.value.encode(), name])
        response = self._server.ask(
            Request(
                method=b"POST",
                target=self._server.address.below(path),
                headers={b"accept": media_type, b"content-type": media_type},
                body=frames,
            )
        )
        if response.status != _OK:
            raise http_error(response)
        if response.content_type != media_type:
            text = self._server.finish(response).decode("utf-8", "backslashreplace").strip()
            kind = response.content_type.decode("utf-8", "backslashreplace")
            raise ToolError(f"the server answered with {kind or 'no type'} and no frames: {text}")
        return response

    def _read(self, connection: ClientConnection, response: Response) -> list[object]:
        """Return the objects of a response, each frame shown when it was read."""
        era = self._server.era
        reader = response_reader(era.dialect, _LIMITS, size_limit=LARGEST_BODY)
        objects: list[object] = []
        failed: ToolError | None = None
        total = 0
        while frame := read_frame(response.body, shows_empty=era.shows_empty_payload):
            self._server.transcript.frame(show_frame(frame, era.dialect))
            total += len(frame.payload)
            if total > LARGEST_BODY:
                raise ToolError(f"the response has more than {LARGEST_BODY} bytes")
            if era.dialect.types.get(frame.type_number) is FrameType.ERROR_RESPONSE:
                failed = failed or failure(frame.payload, era.dialect)
                continue
            objects += _receive(connection, frame.encoded, reader)
        self._server.finish(response)
        if failed is None and not objects and connection.active:
            failed = ToolError("error: the response ends too early")
        if reader.error is not None:
            failed = ToolError(_formatted(reader.error.message, reader.error.arguments))
        if reader.location is not None:
            failed = ToolError(f"the response is elsewhere: {over_lines(reader.location)}")
        if failed is not None:
            raise failed
        return objects


def _receive(connection: ClientConnection, frame: bytes, reader: ObjectReader) -> list[object]:
    objects: list[object] = []
    events = connection.receive_data(frame)
    while True:
        for event in events:
            match event:
                case ConnectionFailed(error=error):
                    raise ToolError(str(error))
                case ResponseDataReceived():
                    try:
                        objects += reader.receive_event(event)
                    except RemoteProtocolError as error:
                        raise ToolError(str(error)) from None
                case _:
                    # Text and progress, which no server sends without being asked.
                    pass
        if not connection.pending:
            return objects
        events = connection.receive_data(b"")


def _formatted(message: bytes, arguments: Sequence[bytes]) -> str:
    pieces = message.split(b"%s")
    filled = [*arguments, *[b"%s"] * len(pieces)]
    text = pieces[0] + b"".join(
        argument + piece for argument, piece in zip(filled, pieces[1:], strict=False)
    )
    return text.decode("utf-8", "backslashreplace")


def _shake_hands(server: Server) -> tuple[bytes, Mapping[object, object]]:
    """Return the API's path below the URL, and the descriptors of its commands."""
    unavailable = ToolError(
        "could not instantiate HTTP peer for wire protocol version 2",
        "the server may not have the feature enabled or is not allowing this client version",
    )
    era = server.era
    if era.api is None:
        raise unavailable
    server.transcript.debug(f"using {server.url}")
    server.transcript.debug("sending capabilities command")
    request = Request(
        method=b"GET",
        target=server.address.path + b"?cmd=capabilities",
        headers={
            b"vary": b"X-HgProto-1,X-HgUpgrade-1",
            b"x-hgproto-1": b"cbor",
            b"x-hgupgrade-1": era.api,
        },
        accept=ACCEPT,
    )
    content_type, content = server.ask_version1(request)
    try:
        answer = read_answer(_OK, b"", content_type, content, _LIMITS)
    except ClientError as error:
        raise ToolError(str(error)) from None
    apis, base = answer.get(b"apis"), answer.get(b"apibase")
    descriptor = apis.get(era.api) if isinstance(apis, dict) else None
    if not isinstance(descriptor, dict) or not isinstance(base, bytes):
        raise unavailable
    framings, commands = descriptor.get(b"framingmediatypes"), descriptor.get(b"commands")
    if not isinstance(framings, list) or era.dialect.media_type not in framings:
        raise unavailable
    return (
        base.strip(b"/") + b"/" + era.api,
        commands if isinstance(commands, dict) else {},
    )
