"""``wiredaemon ping``: how far a server is away, and what it speaks."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509

from wiredaemon.client import HttpAnswerError
from wiredaemon.client.address import parse_url
from wiredaemon.commands import CommandError, ServerError
from wiredaemon.daemon.call_output import one_line
from wiredaemon.daemon.client_run import connected
from wiredaemon.daemon.client_status import Status
from wiredaemon.wire.json_values import json_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from wiredaemon.client import Connection, Tls
    from wiredaemon.daemon.client_run import Console

_NOT_FOUND: Final = 404
_COMMAND: Final = b"capabilities"
"""The command that is called: every server of Mercurial's protocol has it."""


async def ping(options: argparse.Namespace, console: Console) -> Status:
    """Call a server several times, and print how long it took and what was spoken."""
    begin = time.perf_counter()
    async with connected(options) as connection:
        connecting = time.perf_counter() - begin
        seconds = [await _round_trip(connection, options) for _ in range(options.count)]
        facts = _facts(options, connection)
    times = {"connect_ms": _ms(connecting), "rtt_ms": _statistics(seconds)}
    if options.output == "json":
        console.write(json_line({"url": parse_url(options.url).url, **facts, **times}))
        return Status.DONE
    for line in _lines(facts):
        console.write_line(line)
    console.write_line(f"connect      {_ms(connecting):.3f} ms")
    rtt = _statistics(seconds)
    console.write_line(
        f"round trip   min {rtt['min']:.3f} ms, median {rtt['median']:.3f} ms, "
        f"max {rtt['max']:.3f} ms of {rtt['count']}"
    )
    return Status.DONE


async def _round_trip(connection: Connection, options: argparse.Namespace) -> float:
    """Return the seconds that a small call takes."""
    begin = time.perf_counter()
    try:
        async for _ in connection.call(_COMMAND, timeout=options.deadline):
            pass
    # A server without the command has answered as well.
    except (CommandError, ServerError):
        pass
    except HttpAnswerError as error:
        if error.status != _NOT_FOUND:
            raise
    return time.perf_counter() - begin


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _statistics(seconds: Sequence[float]) -> Mapping[str, float]:
    return {
        "count": len(seconds),
        "min": _ms(min(seconds)),
        "median": _ms(statistics.median(seconds)),
        "max": _ms(max(seconds)),
    }


def _facts(options: argparse.Namespace, connection: Connection) -> dict[str, object]:
    scheme = parse_url(options.url).scheme
    # What the client speaks: one version of HTTP.
    carrier = "HTTP/1.1" if scheme.is_http else "frames over a Unix socket"
    return {
        "protocol": carrier if scheme.is_http or scheme.is_unix else "frames over TCP",
        "dialect": connection.dialect.name,
        "session": connection.has_session,
        "tls": None if connection.tls is None else _tls(connection.tls),
    }


def _tls(tls: Tls) -> dict[str, object]:
    facts: dict[str, object] = {"version": tls.version, "cipher": tls.cipher}
    try:
        certificate = x509.load_der_x509_certificate(tls.certificate)
        expires = certificate.not_valid_after_utc
        facts |= {
            "subject": certificate.subject.rfc4514_string(),
            "names": _names(certificate),
            "issuer": certificate.issuer.rfc4514_string(),
            "expires": expires.isoformat(),
            "days_left": (expires - datetime.now(UTC)).days,
        }
    except ValueError as error:
        facts["error"] = f"the certificate cannot be read: {error}"
    return facts


def _names(certificate: x509.Certificate) -> list[str]:
    """Return the hosts that a certificate is for."""
    try:
        kind = x509.SubjectAlternativeName
        found = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


def _lines(facts: Mapping[str, object]) -> list[str]:
    rows = [
        ("protocol", facts["protocol"]),
        ("dialect", facts["dialect"]),
        ("session", "yes" if facts["session"] else "no"),
    ]
    match facts["tls"]:
        case {"version": version, "cipher": cipher, **more}:
            rows.append(("TLS", f"{version}, {cipher}"))
            if "error" in more:
                rows.append(("certificate", more["error"]))
            else:
                names = more["names"]
                hosts = ", ".join(names) if isinstance(names, list) else ""
                rows += [
                    ("certificate", more["subject"] or "(no subject)"),
                    ("  for", hosts or "(no host)"),
                    ("  issued by", more["issuer"]),
                    ("  expires", f"{more['expires']} (in {more['days_left']} days)"),
                ]
        case _:
            rows.append(("TLS", "none"))
    return [f"{name.ljust(12)} {one_line(str(value))}" for name, value in rows]
