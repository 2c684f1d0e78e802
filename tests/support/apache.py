"""A real Apache httpd, a child process with a configuration of its own on a loopback port.

It takes no socket that others have made. So its port is bound here, too, and never listened on:
both sockets say that they share it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pytest
from support.environment import LOOPBACK
from support.proxies import DEADLINE, end, program

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES: Final = Path("/usr/lib/apache2/modules")
_NAMES: Final = (
    *("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"),
    *("headers", "proxy", "proxy_http", "socache_shmcb", "ssl"),
)
_READY: Final = b"resuming normal operations"

_CONFIGURATION: Final = """\
ServerRoot {folder}
ServerName localhost
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
Mutex file:{folder}
ErrorLog /dev/stderr
LogLevel notice
# Otherwise its socket shares its port with nobody.
ListenCoresBucketsRatio 1
Listen {listen}
{modules}
{user}
{sites}
"""


@contextmanager
def apache(sites: str, folder: Path) -> Iterator[int]:
    """Run Apache, and yield its port.

    Args:
        sites: Virtual hosts, with ``@LISTEN@`` for address and port.
        folder: For its files; it exists.
    """
    found = program("apache2")
    if not _MODULES.is_dir():
        pytest.skip(f"there is no {_MODULES}")
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((LOOPBACK, 0))
        port: int = reserved.getsockname()[1]
        listen = f"{LOOPBACK}:{port}"
        modules = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _NAMES)
        file = folder / "apache.conf"
        text = _CONFIGURATION.format(
            folder=folder,
            listen=listen,
            modules=modules,
            # It refuses to answer as root.
            user="User nobody\nGroup nogroup" if os.geteuid() == 0 else "",
            sites=sites.replace("@LISTEN@", listen),
        )
        file.write_text(text, "utf-8")
        with _running([found, "-f", str(file), "-D", "FOREGROUND"]):
            yield port


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(process.stdout, lines, ready))
    reader.start()
    try:
        assert ready.wait(DEADLINE), "Apache has not started"
        yield
        assert process.poll() is None, "Apache has ended"
    except BaseException as error:
        error.add_note(f"Apache's log:\n{b''.join(lines).decode('utf-8', 'replace')}")
        raise
    finally:
        end(process)
        reader.join()
        process.stdout.close()


def _read(output: IO[bytes], lines: list[bytes], ready: threading.Event) -> None:
    """Keep all that is printed, and say when Apache listens."""
    for line in output:
        lines.append(line)
        if _READY in line:
            ready.set()
    # It has ended, and will never be ready: nobody need wait for that.
    ready.set()
