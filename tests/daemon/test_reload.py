"""SIGHUP: another configuration is served from then on, and no connection is dropped."""

from __future__ import annotations

import os
import signal
import ssl
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.configuration import ANY_PORT
from support.daemon import Daemon
from support.peers import request_frames
from support.raw_http import RawConnection, post
from support.serving import write_certificate
from support.web import MEDIA, path_of
from twisted.logger import Logger, globalLogPublisher, textFileLogObserver
from twisted.python.logfile import LogFile

from wiredaemon.daemon.config import Config, Data
from wiredaemon.daemon.restart_keys import restart_keys
from wiredaemon.daemon.signals import open_logs_again
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGAIN: Final = r"the configuration was read again"
REFUSED: Final = r"the configuration stays as it was: (.*)"
ASK: Final = b"GET /api/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENABLED: Final = "(no available APIs)"
"""A part of the answer where the APIs are off."""
ON: Final = "[api]\nhttp_v2 = true\n"
OFF: Final = "[api]\nhttp_v2 = false\n"


class Served:
    """A daemon and its configuration file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = f'[data]\nfolder = "data"\n[listen]\nhttp = ["{ANY_PORT}"]\n'
        self.daemon = Daemon.start(self.first + ON, folder)

    def write(self, text: str) -> None:
        (self.folder / "wiredaemon.toml").write_text(text, encoding="utf-8")

    def reload(self, expected: str = AGAIN) -> str:
        """Send SIGHUP, and return what the log said then."""
        after = self.daemon.lines_logged()
        os.kill(self.daemon.pid, signal.SIGHUP)
        return self.daemon.wait_for_log(expected, after=after)[0]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    with served.daemon:
        yield served


def ask(connection: RawConnection) -> str:
    """Return the body of the answer."""
    return connection.exchange(ASK).body.decode()


def test_the_next_request_of_every_connection_is_served_as_the_new_configuration_says(
    served: Served,
) -> None:
    with served.daemon.connect() as old:
        assert ENABLED not in ask(old)
        served.write(served.first + OFF)
        served.reload()
        with served.daemon.connect() as new:
            assert ENABLED in ask(new)
        assert ENABLED in ask(old)
        served.write(served.first + ON)
        served.reload()
        assert ENABLED not in ask(old)
    assert len(served.daemon.ports("http")) == 1


def test_calls_with_json_are_switched_on_and_off(served: Served) -> None:
    call = b"GET /json/capabilities HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served.daemon.connect() as connection:
        assert connection.exchange(call).status == 400
        served.write(served.first + "[api]\njson = true\n[limits]\njson_document = 100\n")
        served.reload()
        refused = connection.exchange(call)
        assert (refused.status, b"limit of 100 bytes" in refused.body) == (406, True)
        served.write(served.first + "[api]\njson = true\n")
        served.reload()
        assert b'"commands"' in connection.exchange(call).body
        served.write(served.first)
        served.reload()
        assert connection.exchange(call).status == 400


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("[api]\nno_such_key = 1\n", "no_such_key"),
        ('[commands]\nload = ["missing.py"]\n', "missing.py does not exist"),
        ('[auth]\nhtpasswd = "missing"\n', "missing"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_message(
    served: Served, added: str, message: str
) -> None:
    served.write(served.first + added)
    assert message in served.reload(REFUSED)
    with served.daemon.connect() as connection:
        assert ENABLED not in ask(connection)


def test_a_listener_that_cannot_be_opened_leaves_all_as_it_was(served: Served) -> None:
    taken = f"tcp:{served.daemon.port()}:interface=127.0.0.1"
    text = served.first.replace("[listen]\n", f'[listen]\nframed = ["{ANY_PORT}", "{taken}"]\n')
    served.write(text + OFF)
    assert "cannot listen on" in served.reload(REFUSED)
    with served.daemon.connect() as connection:
        assert ENABLED not in ask(connection)
    # The one that was opened before is closed again.
    opened = served.daemon.port("framed")
    with pytest.raises(ConnectionRefusedError):
        RawConnection(opened)


def test_listeners_are_opened_and_closed(served: Served) -> None:
    before = served.daemon.port()
    with served.daemon.connect() as old:
        # Its answer shows that it was accepted.
        assert ENABLED not in ask(old)
        other = served.first.replace("http =", "framed =").replace('"]', ':backlog=9"]')
        served.write(other)
        served.reload()
        RawConnection(served.daemon.port("framed")).close()
        with pytest.raises(ConnectionRefusedError):
            RawConnection(before)
        assert ENABLED not in ask(old)


def test_a_port_stays_open_where_something_else_is_spoken_from_now_on(served: Served) -> None:
    before = served.daemon.port()
    with served.daemon.connect() as old:
        # Its answer shows that it was accepted.
        assert ENABLED not in ask(old)
        served.write(served.first.replace("http =", "framed ="))
        served.reload()
        assert served.daemon.port("framed") == before
        with served.daemon.connect("framed") as new:
            new.send(b"".join(request_frames("0006", 1, b"capabilities")))
            assert new.receive_exactly(8)
        assert ENABLED not in ask(old)


def test_a_right_that_is_taken_away_is_missing_on_open_connections_too(tmp_path: Path) -> None:
    first = f'[data]\nfolder = "data"\n[listen]\nhttp = ["{ANY_PORT}"]\nframed = ["{ANY_PORT}"]\n'
    body = b"".join(request_frames("0006", 1, b"capabilities"))
    head = {"Accept": MEDIA["0006"], "Content-Type": MEDIA["0006"]}
    with (
        Daemon.start(first, tmp_path) as daemon,
        daemon.connect() as web,
        daemon.connect("framed") as raw,
    ):
        request = post(path_of("0006", "capabilities"), web.authority, head, body)

        def ask_raw(number: int) -> bytes:
            raw.send(b"".join(request_frames("0006", number, b"capabilities")))
            answer = b""
            while True:
                header = raw.receive_exactly(8)
                payload = raw.receive_exactly(int.from_bytes(header[:3], "little"))
                answer += payload
                # The last frame of a response, or an error.
                if header[7] in {0x32, 0x50}:
                    return answer

        # Twice, so that the head is one that the site remembers.
        assert [web.exchange(request).status for _ in range(2)] == [200, 200]
        assert b"not authorized" not in ask_raw(1)
        (tmp_path / "wiredaemon.toml").write_text(
            f'{first}[web]\ndeny_read = ["*"]\n', encoding="utf-8"
        )
        after = daemon.lines_logged()
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_log(AGAIN, after=after)
        assert web.exchange(request).status == 401
        assert b"read not authorized" in ask_raw(3)


def test_a_renewed_certificate_is_shown_to_new_connections(tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "localhost")
    text = (
        f'[data]\nfolder = "data"\n[listen]\nhttps = ["{ANY_PORT}"]\n'
        f'[tls]\ncertificate = "{files}/cert.pem"\nprivate_key = "{files}/key.pem"\n'
    )
    with Daemon.start(text, tmp_path) as daemon:

        def shown() -> str:
            return ssl.get_server_certificate(("127.0.0.1", daemon.port("https")))

        before = shown()
        assert before == (files / "cert.pem").read_text(encoding="ascii")
        write_certificate(files, "localhost")
        assert shown() == before
        after = daemon.lines_logged()
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_log(AGAIN, after=after)
        assert shown() == (files / "cert.pem").read_text(encoding="ascii")


def test_keys_that_need_a_restart_are_named(served: Served) -> None:
    served.write(served.first + "[limits]\nworker_queue = 7\nhead = 20000\n")
    assert "limits.worker_queue: changed" in served.reload(r".*from a restart on")


def test_only_what_is_kept_needs_a_restart(tmp_path: Path) -> None:
    before = Config(data=Data(folder=tmp_path))
    after = Config(
        data=Data(folder=tmp_path / "other"), limits=Limits(cache_size=1, frame_payload=100)
    )
    assert restart_keys(before, before) == []
    assert restart_keys(before, after) == ["data.folder", "limits.cache_size"]


def test_log_files_are_opened_again_at_both_signals(served: Served) -> None:
    for number in (signal.SIGUSR1, signal.SIGHUP):
        after = served.daemon.lines_logged()
        os.kill(served.daemon.pid, number)
        served.daemon.wait_for_log("log files were opened again", after=after)


def test_a_log_file_that_was_renamed_gets_a_successor(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file: Any = LogFile.fromFullPath(str(path))
    observer = textFileLogObserver(file)
    globalLogPublisher.addObserver(observer)
    try:
        Logger().info("before")
        path.rename(tmp_path / "log.1")
        open_logs_again()
        Logger().info("behind")
        # A folder in its place cannot be opened: the file goes on.
        path.rename(tmp_path / "log.2")
        path.mkdir()
        open_logs_again()
    finally:
        globalLogPublisher.removeObserver(observer)
        file.close()
    first = (tmp_path / "log.1").read_text(encoding="utf-8")
    assert ("before" in first, "behind" in first) == (True, False)
    second = (tmp_path / "log.2").read_text(encoding="utf-8")
    assert ("behind" in second, "goes on in its old file" in second) == (True, True)
