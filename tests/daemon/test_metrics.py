"""Metrics and health of a running daemon, as Prometheus and a supervisor read them."""

from __future__ import annotations

import os
import signal
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from support.accounts import write_htpasswd
from support.configuration import ANY_PORT, configuration
from support.daemon import Daemon
from support.peers import request_frames
from support.raw_http import RawConnection, post, trusting
from support.repositories import make_repository
from support.web import MEDIA, path_of

from wiredaemon.net.admin.metrics import GROUPS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.raw_http import RawResponse

ADMIN: Final = f'[admin]\nlisten = ["{ANY_PORT}"]\n'
COMMANDS: Final = """
from pathlib import Path

from wiredaemon.commands import Permission, command


@command("block", permission=Permission.RO, is_blocking=True)
def block(context):
    with Path({pipe!r}).open("wb"):
        pass
    return b"done"


@command("count", permission=Permission.RO, has_data=True)
async def count(context):
    return len(await context.data.read())
"""
HEADERS: Final = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}

Values = dict[tuple[str, ...], float]


@contextmanager
def running(
    folder: Path, more: str = "", *, admin: str = ADMIN, repository: Path | None = None
) -> Iterator[Daemon]:
    """A daemon with metrics, with a command that blocks until somebody reads from a pipe."""
    commands = folder / "commands.py"
    os.mkfifo(folder / "pipe")
    commands.write_text(COMMANDS.format(pipe=str(folder / "pipe")), "utf-8")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        listen=("http", "https", "framed", "framed_tls"),
        load=(commands,),
        more=admin + more,
    )
    text = text.replace("false", "true").replace("[api]", "[api]\njson = true")
    with Daemon.start(text, folder) as daemon:
        yield daemon


def ask(daemon: Daemon, path: str, method: str = "GET", body: bytes = b"") -> RawResponse:
    with daemon.connect("admin") as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        response = connection.exchange(head.encode() + body)
        assert connection.receive_to_end() == b""
    return response


def scrape(daemon: Daemon) -> Values:
    """Return all numbers: by their name, and the values of their labels behind it."""
    response = ask(daemon, "/metrics")
    assert response.status == 200
    assert (response.header(b"Content-Type") or b"").startswith(b"text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.body.decode())
        for sample in family.samples
    }


def of(values: Values, name: str) -> dict[str, float]:
    """Return the numbers of a metric with one label."""
    return {label[0]: value for (found, *label), value in values.items() if found == name}


def call(connection: RawConnection, name: str, **options: Any) -> None:
    """Send one command over HTTP."""
    body = b"".join(request_frames("0006", 1, name.encode(), {}, data=options.pop("data", None)))
    headers = {**HEADERS, **options}
    connection.send(post(path_of("0006", name, "ro"), connection.authority, headers, body))


def test_the_answer_has_each_metric_of_the_table_and_of_the_process(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        body = ask(daemon, "/metrics").body.decode()
        values = scrape(daemon)
    found = {
        (f"{family.name}_total" if family.type == "counter" else family.name): family
        for family in text_string_to_metric_families(body)
    }
    ours = {metric.name: metric for group in GROUPS for metric in group.metrics}
    process = {family.name for family in ProcessCollector(registry=CollectorRegistry()).collect()}
    assert found.keys() == ours.keys() | {
        f"{name}_total" if name == "process_cpu_seconds" else name for name in process
    }
    shown = {name: (found[name].type, found[name].documentation) for name in ours}
    assert shown == {name: (metric.kind, metric.help) for name, metric in ours.items()}
    assert of(values, "wiredaemon_limit_hits_total") == {one.name: 0.0 for one in fields(Limits)}
    assert values["wiredaemon_connections_limit",] == Limits().connections
    assert values["process_resident_memory_bytes",] > 0


def test_connections_and_requests_are_those_of_the_known_traffic(tmp_path: Path) -> None:
    ask_api = b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running(tmp_path, "[limits]\nrequests_per_connection = 3\n") as daemon:
        with ExitStack() as stack:
            http = [stack.enter_context(daemon.connect()) for _ in range(3)]
            secure = stack.enter_context(daemon.connect("https", tls=trusting(None)))
            framed = [stack.enter_context(daemon.connect("framed")) for _ in range(2)]
            answers = [each.exchange(ask_api) for each in (*http, secure)]
            answers += [http[0].exchange(ask_api), http[0].exchange(ask_api)]
            assert http[0].receive_to_end() == b""
            for each in framed:
                each.send(b"".join(request_frames("0006", 1, b"block")))
            # The daemon gets to this behind the two commands, which have begun by then.
            http[1].exchange(ask_api)
            values = scrape(daemon)
            assert of(values, "wiredaemon_connections") == {
                "http": 2,
                "https": 1,
                "framed": 2,
                "framed_tls": 0,
            }
            assert of(values, "wiredaemon_requests") == {
                "http": 0,
                "https": 0,
                "framed": 2,
                "framed_tls": 0,
            }
            assert of(values, "wiredaemon_commands_total")["framed"] == 2
            assert values["wiredaemon_connections_opened_total",] == 6
            assert values["wiredaemon_http_requests_total",] == 7
            assert values["wiredaemon_sent_bytes_total",] >= sum(len(one.wire) for one in answers)
            assert values["wiredaemon_command_threads_busy",] == 2
            hits = of(values, "wiredaemon_limit_hits_total")
            assert {name: count for name, count in hits.items() if count} == {
                "requests_per_connection": 1
            }
            sent = values["wiredaemon_sent_bytes_total",]
            read_pipe(tmp_path / "pipe", framed)
        after = scrape(daemon)
        assert after["wiredaemon_connections_opened_total",] == 6
        assert after["wiredaemon_http_requests_total",] == 7
        assert after["wiredaemon_sent_bytes_total",] > sent


def read_pipe(pipe: Path, waiting: list[RawConnection]) -> None:
    """Let all commands end that wait for a reader of the pipe, and read their answers."""
    for each in waiting:
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert b"done" in each.receive_some()
        finally:
            os.close(reader)


def test_limits_that_were_hit_and_commands_of_all_transports_are_counted(tmp_path: Path) -> None:
    asked = b"".join(request_frames("0006", 1, b"capabilities"))
    unknown = b"".join(request_frames("0006", 5, b"unheard-of"))
    by_json = b"GET /json/capabilities HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running(tmp_path, "[limits]\ncommand_data = 1000\n") as daemon:
        with daemon.connect() as connection:
            assert connection.exchange(by_json).status == 200
            call(connection, "count", data=bytes(1001))
            assert b"(command_data)" in connection.receive_response().body
        with daemon.connect("framed_tls", tls=trusting(None)) as connection:
            connection.send(asked + asked.replace(b"\x01\0", b"\x03\0", 1) + unknown)
            # The last one is admitted last.
            answers = b""
            while b"unheard-of" not in answers:
                answers += connection.receive_some()
        values = scrape(daemon)
    hits = of(values, "wiredaemon_limit_hits_total")
    assert {name: count for name, count in hits.items() if count} == {"command_data": 1}
    assert of(values, "wiredaemon_commands_total") == {
        "http": 1,
        "json": 1,
        "framed": 0,
        "framed_tls": 2,
        "framed_unix": 0,
    }


def test_workers_and_caches_are_counted(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    with running(tmp_path, repository=repository) as daemon, daemon.connect() as connection:
        call(connection, "heads")
        assert connection.receive_response().status == 200
        values = scrape(daemon)
    workers = of(values, "wiredaemon_workers")
    assert workers.keys() == {"starting", "idle", "busy", "ending"}
    assert workers["idle"] + workers["busy"] >= 1
    assert values["wiredaemon_worker_starts_total",] >= 1
    assert values["wiredaemon_worker_deaths_total",] == 0
    assert values["wiredaemon_worker_resident_memory_bytes",] > 1_000_000
    assert of(values, "wiredaemon_worker_queue") == {"value": 0, "stream": 0}
    assert of(values, "wiredaemon_cache_entries").keys() == {"answers", "clones", "bundles"}


def test_failed_logins_are_counted(tmp_path: Path) -> None:
    write_htpasswd(tmp_path / "htpasswd", ann="secret")
    wrong = f"Basic {b64encode(b'ann:wrong').decode()}"
    with running(tmp_path, f'[auth]\nhtpasswd = "{tmp_path / "htpasswd"}"\n') as daemon:
        with daemon.connect() as connection:
            call(connection, "count", Authorization=wrong)
            assert connection.receive_response().status == 401
        values = scrape(daemon)
    assert values["wiredaemon_failed_logins_total",] == 1
    assert values["wiredaemon_login_failure_records",] == 2


def test_the_health_is_503_while_requests_end(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.connect("framed") as connection:
        healthy = ask(daemon, "/health")
        assert (healthy.status, healthy.body) == (200, b"ok\n")
        connection.send(b"".join(request_frames("0006", 1, b"block")))
        with daemon.connect() as other:
            other.exchange(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.wait_for_log("connections have 30 s to end")
        stopping = ask(daemon, "/health")
        assert (stopping.status, stopping.body) == (503, b"stopping\n")
        values = scrape(daemon)
        assert values["wiredaemon_stopping",] == 1
        assert of(values, "wiredaemon_requests")["framed"] == 1
        read_pipe(tmp_path / "pipe", [connection])
        assert daemon.wait() == -signal.SIGTERM
    assert "Traceback" not in daemon.log


def test_there_is_nothing_else_and_nothing_to_send(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert [ask(daemon, path).status for path in ("/", "/metrics/", "/api", "/health/x")] == [
            404,
            404,
            404,
            404,
        ]
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            refused = ask(daemon, "/metrics", method, bytes(200_000))
            assert (refused.status, refused.header(b"Allow")) == (405, b"GET, HEAD")
        assert ask(daemon, "/metrics", "GET", bytes(200_000)).status == 200
        head = ask(daemon, "/health", "HEAD")
        assert (head.status, head.header(b"Content-Length"), head.body) == (200, b"3", b"")
        assert of(scrape(daemon), "wiredaemon_connections")["http"] == 0
    assert "Traceback" not in daemon.log


def test_connections_of_who_looks_are_few(tmp_path: Path) -> None:
    with running(tmp_path, "[limits]\nadmin_connections = 1\n") as daemon:
        with daemon.connect("admin") as held:
            held.send(b"GET /metrics HTTP/1.1\r\n")
            with daemon.connect("admin") as refused:
                assert refused.receive_to_end() == b""
            held.send(b"Host: localhost\r\n\r\n")
            assert held.receive_response().status == 200
            assert held.receive_to_end() == b""
        hits = of(scrape(daemon), "wiredaemon_limit_hits_total")
    assert hits["admin_connections"] == 1


def test_connections_of_who_looks_are_short(tmp_path: Path) -> None:
    with running(tmp_path, "[limits]\nadmin_seconds = 0.5\n") as daemon:
        with daemon.connect("admin") as silent, pytest.raises(ConnectionResetError):
            silent.receive_to_end()
        assert of(scrape(daemon), "wiredaemon_limit_hits_total")["admin_seconds"] == 1


def test_a_daemon_has_none_of_it_by_default_and_a_reload_opens_and_closes_it(
    tmp_path: Path,
) -> None:
    with running(tmp_path, admin="") as daemon:
        assert daemon.ports("admin") == []
        file = tmp_path / "wiredaemon.toml"
        without = file.read_text("utf-8")
        with daemon.connect("framed") as connection:
            connection.send(b"".join(request_frames("0006", 1, b"capabilities")))
            connection.receive_some()
            reload(daemon, file, without + ADMIN)
            values = scrape(daemon)
            # What was counted before counts.
            assert values["wiredaemon_connections_opened_total",] == 1
            assert of(values, "wiredaemon_connections")["framed"] == 1
        port = daemon.port("admin")
        reload(daemon, file, without)
        with pytest.raises(ConnectionRefusedError), RawConnection(port):
            pass


def reload(daemon: Daemon, file: Path, text: str) -> None:
    after = daemon.lines_logged()
    file.write_text(text, "utf-8")
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.wait_for_log("the configuration was read again", after=after)
