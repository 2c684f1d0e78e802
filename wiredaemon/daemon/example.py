"""Example command lines for the listeners, for people who have just started the daemon."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wiredaemon.protocol import ClientConnection
from wiredaemon.wire.dialects import DIALECTS, RequestForm

if TYPE_CHECKING:
    from wiredaemon.daemon.config import Config


def example_command(config: Config, url: str, dialect: str = "0006") -> str:
    """Return a shell command that sends one framed request, or asks for the APIs.

    Args:
        config: The running configuration.
        url: The listener's URL, with a trailing slash.
        dialect: The dialect of a raw listener.
    """
    if url.startswith("hgrpc"):
        return _example_call(config, url, dialect)
    curl = "curl -s --insecure" if url.startswith("https:") else "curl -s"
    base = _base(config, url)
    if config.paths and not config.repositories:
        return f"{curl} {shlex.quote(f'{base}?style=raw')}"
    # From the back, where the newest stands in the default order.
    for api, framings in reversed(list(config.api.framings.items())):
        spoken = DIALECTS[framings[0]]
        if spoken.request is RequestForm.MAP and config.api.enabled and config.api.http_v2:
            command = "heads" if config.paths else "capabilities"
            media_type = spoken.media_type.decode("ascii")
            return (
                f"printf {shlex.quote(_octal(_request(command)))} | {curl} --data-binary @-"
                f" -H 'Accept: {media_type}' -H 'Content-Type: {media_type}'"
                f" {shlex.quote(f'{base}api/{api}/ro/{command}')} | od -c"
            )
    return f"{curl} {shlex.quote(f'{base}api')}"


def example_clone(config: Config, url: str) -> str | None:
    """Return a shell command that clones the first repository over HTTP, or None."""
    if not config.repositories or not url.startswith("http"):
        return None
    # Mercurial does not find the addresses of loopback in certificates.
    trust = ["--insecure"] if url.startswith("https:") else []
    base = _base(config, url)
    return shlex.join(["hg", "clone", *trust, base if base == url else base.rstrip("/"), "copy"])


def _example_call(config: Config, url: str, dialect: str) -> str:
    """Return a call by this package's client: no other program speaks raw frames."""
    words = [_program(), "call"]
    if url.startswith("hgrpcs:") and config.tls.certificate is not None:
        words += ["--ca", str(config.tls.certificate)]
    if dialect != "0006":
        words += ["--dialect", dialect]
    base = _base(config, url)
    if config.paths and not config.repositories:
        base = f"{base}REPOSITORY"
    return shlex.join([*words, base, "heads" if config.paths else "capabilities"])


def _base(config: Config, url: str) -> str:
    """Return the URL of the first repository or collection, with a trailing slash."""
    prefixes = [*config.repositories, *(each.prefix for each in config.collections)]
    names = [quote(name) for name in next(iter(prefixes), "/").split("/") if name]
    return "".join([url, *(f"{name}/" for name in names)])


def _program() -> str:
    """Return the console script's name or path, as the reader's shell finds it."""
    beside = Path(sys.executable).with_name("wiredaemon")
    found = shutil.which("wiredaemon")
    if found is not None and Path(found) == beside:
        return "wiredaemon"
    return str(beside) if beside.exists() else f"{sys.executable} -m wiredaemon"


def _request(command: str) -> bytes:
    """Return the frame of a request without arguments, the same from 0003 on."""
    connection = ClientConnection()
    connection.send_command(command.encode("ascii"), {})
    return b"".join(part for frame in connection.data_to_send() for part in frame)


def _octal(data: bytes) -> str:
    """Return bytes as the octal escapes that every shell's printf reads."""
    # Octal, because the printf of dash, which is /bin/sh on Debian, knows no hexadecimal escapes.
    return "".join(chr(byte) if chr(byte).isalnum() else f"\\{byte:03o}" for byte in data)
