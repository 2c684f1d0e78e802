"""`wiredaemon ping` against servers on loopback."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from support.responding import ensure_deferred
from support.serving import factory_of, listening, write_certificate
from support.tools import Told, told

from wiredaemon.commands import capabilities
from wiredaemon.commands.registry import marked_commands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wiredaemon.commands import Command


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1")


async def pinged(
    kind: str, certificate: Path, *words: str, commands: Sequence[Command] | None = None
) -> Told:
    served = marked_commands(capabilities) if commands is None else commands
    secure = certificate if kind.endswith("s") else None
    factory = factory_of(kind, served, framings=["0006"], certificate=secure)
    async with listening(factory) as port:
        trust = ["--ca", str(certificate / "ca.pem")]
        return await told("ping", f"{kind}://localhost:{port}/", *trust, *words)


@pytest.mark.parametrize(
    ("kind", "protocol", "session"),
    [
        ("http", "HTTP/1.1", "no"),
        ("https", "HTTP/1.1", "no"),
        ("hgrpc", "frames over TCP", "yes"),
        ("hgrpcs", "frames over TCP", "yes"),
    ],
)
@ensure_deferred
async def test_what_is_spoken_and_how_long_it_takes(
    certificate: Path, kind: str, protocol: str, session: str
) -> None:
    status, output, errors, line = await pinged(kind, certificate, "-n", "3")
    assert (status, errors, line) == (0, "", "")
    rows = dict(re.findall(r"^ *(.+?)  +(.+)$", output.decode(), re.MULTILINE))
    time = r"\d+\.\d{3} ms"
    assert re.fullmatch(time, rows.pop("connect"))
    rtt = rows.pop("round trip")
    assert re.fullmatch(f"min {time}, median {time}, max {time} of 3", rtt)
    assert (rows.pop("protocol"), rows.pop("dialect")) == (protocol, "0006")
    assert rows.pop("session") == session
    tls = rows.pop("TLS")
    if not kind.endswith("s"):
        assert (tls, rows) == ("none", {})
        return
    known = x509.load_pem_x509_certificate((certificate / "cert.pem").read_bytes())
    assert re.fullmatch(r"TLSv1\.3, TLS_\w+", tls)
    assert rows.pop("certificate") == known.subject.rfc4514_string()
    assert rows.pop("for") == "localhost, 127.0.0.1"
    assert rows.pop("issued by") == known.issuer.rfc4514_string()
    expires = re.escape(known.not_valid_after_utc.isoformat())
    assert re.fullmatch(rf"{expires} \(in \d+ days\)", rows.pop("expires"))
    assert rows == {}


@ensure_deferred
async def test_json_has_the_same_for_programs(certificate: Path) -> None:
    outcome = await pinged("https", certificate, "--output", "json")
    said = json.loads(outcome.output)
    assert said["url"].startswith("https://localhost:")
    assert (said["protocol"], said["dialect"], said["session"]) == ("HTTP/1.1", "0006", False)
    assert said["tls"]["version"] == "TLSv1.3"
    assert said["tls"]["names"] == ["localhost", "127.0.0.1"]
    assert said["tls"]["days_left"] > 0
    rtt = said["rtt_ms"]
    assert rtt["count"] == 5
    assert 0 < rtt["min"] <= rtt["median"] <= rtt["max"]
    outcome = await pinged("http", certificate, "--output", "json")
    assert json.loads(outcome.output)["tls"] is None


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_server_without_the_command_has_answered(certificate: Path, kind: str) -> None:
    outcome = await pinged(kind, certificate, "--output", "json", commands=[])
    assert (outcome.status, json.loads(outcome.output)["rtt_ms"]["count"]) == (0, 5)


@ensure_deferred
async def test_who_speaks_something_else_is_an_error() -> None:
    async with listening(factory_of("hgrpc", [], framings=["0006"])) as port:
        outcome = await told("ping", f"http://127.0.0.1:{port}/")
    assert outcome.status == 76
    assert outcome.line.endswith("it speaks frames, so the URL must begin with hgrpc://")
