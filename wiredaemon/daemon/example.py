"""A command line that shows a listener at work, for people who have just started the daemon."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from wiredaemon.protocol import ClientConnection
from wiredaemon.wire.dialects import DIALECTS, RequestForm

if TYPE_CHECKING:
    from wiredaemon.daemon.config import Config


def example_command(config: Config, url: str) -> str:
    """Give a shell command that sends one framed request, or asks for the APIs.

    Args:
        config: What is served.
        url: Of an HTTP or HTTPS listener, with a slash at its end.
    """
    curl = "curl -s --insecure" if url.startswith("https:") else "curl -s"
    prefix = next(iter(config.paths), "/").strip("/")
    base = f"{url}{prefix}/" if prefix else url
    for api, framings in reversed(list(config.api.framings.items())):
        dialect = DIALECTS[framings[0]]
        if dialect.request is RequestForm.MAP and config.api.enabled and config.api.http_v2:
            command = "heads" if config.paths else "capabilities"
            media_type = dialect.media_type.decode("ascii")
            return (
                f"printf {shlex.quote(_octal(_request(command)))} | {curl} --data-binary @-"
                f" -H 'Accept: {media_type}' -H 'Content-Type: {media_type}'"
                f" {shlex.quote(f'{base}api/{api}/ro/{command}')} | od -c"
            )
    return f"{curl} {shlex.quote(f'{base}api')}"


def _request(command: str) -> bytes:
    """Give the frame of a request without arguments, alike in all dialects with request maps."""
    connection = ClientConnection()
    connection.send_command(command.encode("ascii"), {})
    return b"".join(part for frame in connection.data_to_send() for part in frame)


def _octal(data: bytes) -> str:
    """Write bytes as every shell's printf reads them."""
    return "".join(chr(byte) if chr(byte).isalnum() else f"\\{byte:03o}" for byte in data)
