"""Real proxies, each a child process with a configuration of its own on a loopback port.

The socket is made here and inherited, so that the system chooses its port, and clients that connect
before the proxy is ready wait for it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DEADLINE: Final = 20.0
"""Seconds until a proxy must have ended."""

_PATH: Final = f"{os.defpath}:/usr/sbin:/usr/local/sbin"
"""Debian has them where the path of a user need not lead."""

_NGINX: Final = """\
daemon off;
master_process on;
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/proxy.log info;
events {{ }}
http {{
    access_log {folder}/requests.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""

_HAPROXY: Final = """\
global
    maxconn 200
    log stdout format raw daemon
"""


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return an example with other ports and files.

    Raises:
        AssertionError: It does not have one of the parts to change.
    """
    for old, new in changes.items():
        assert old in text, f"the example has no {old!r}"
        text = text.replace(old, new)
    return text


def program(name: str) -> str:
    """Return the path of a proxy's program; the test is skipped where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path=_PATH)
    if found is None:
        # Whoever promises to have tested everything must not leave this out unseen.
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"{name} is not installed; Debian has it")
    return found


@contextmanager
def nginx(servers: str, folder: Path) -> Iterator[int]:
    """Run nginx, and yield its port.

    Args:
        servers: Server blocks, with ``@LISTEN@`` for address and port.
        folder: For its files; it exists.
    """
    with _listening() as inherited:
        port: int = inherited.getsockname()[1]
        servers = servers.replace("@LISTEN@", f"{LOOPBACK}:{port}")
        file = folder / "nginx.conf"
        # Its worker gives up the rights of root, and could not read the files of a test then.
        user = "user root;\n" if os.geteuid() == 0 else ""
        file.write_text(_NGINX.format(folder=folder, user=user, servers=servers), "utf-8")
        command = [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(file)]
        # By this variable an nginx passes its sockets on to the one that replaces it.
        variables = {"NGINX": f"{inherited.fileno()};"}
        with _running(command, inherited, folder, variables):
            yield port


@contextmanager
def haproxy(configuration: str, folder: Path) -> Iterator[int]:
    """Run HAProxy, and yield its port.

    Args:
        configuration: With ``@LISTEN@`` for the address to bind.
        folder: For its files; it exists.
    """
    with _listening() as inherited:
        file = folder / "haproxy.cfg"
        text = configuration.replace("@LISTEN@", f"fd@{inherited.fileno()}")
        file.write_text(
            f"global\n    maxconn 200\n    log stdout format raw daemon\n{text}", "utf-8"
        )
        port: int = inherited.getsockname()[1]
        with _running([program("haproxy"), "-db", "-f", str(file)], inherited, folder, {}):
            yield port


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as inherited:
        yield inherited


@contextmanager
def _running(
    command: list[str], inherited: socket.socket, folder: Path, variables: Mapping[str, str]
) -> Iterator[None]:
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[inherited.fileno()],
        )
    # A proxy that has ended then refuses its clients, which would wait for us.
    inherited.close()
    try:
        yield
        assert process.poll() is None, "the proxy has ended"
    except BaseException as error:
        logs = [folder / name for name in ("output.log", "proxy.log")]
        text = "".join(log.read_text("utf-8", "replace") for log in logs if log.exists())
        error.add_note(f"the proxy's log:\n{text}")
        raise
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours, at once if it does not end by itself."""
    process.terminate()
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
