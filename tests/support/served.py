"""Repositories served by one running daemon, each at a path of its own, and its requests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.configuration import ANY_PORT, configuration
from support.daemon import Daemon
from support.environment import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

API: Final = "api/exp-http-v2-0003"
"""Version 2 of the protocol, below a repository's path."""

FRAMINGS: Final = {"exp-http-v2-0001": ["0003", "0005", "0002"], "exp-http-v2-0003": ["0006"]}
_REQUEST: Final = re.compile(r'"[A-Z]+ (?P<target>\S+) HTTP/1\.[01]" (?P<status>\d+) ')


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A daemon and the repositories that it serves; ended by `with`."""

    daemon: Daemon
    folders: Mapping[str, Path]
    """By name, which is also the path."""
    authority: Path | None = None
    """The PEM file of the authority that signed the HTTPS listener's certificate."""

    @classmethod
    def start(
        cls,
        folders: Mapping[str, Path],
        folder: Path,
        *,
        certificate: Path | None = None,
        web: str = "",
        client_ca: Path | None = None,
        tables: str = "",
        within: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        endpoint: str = ANY_PORT,
    ) -> Self:
        """Start a daemon that logs each request.

        Args:
            folders: Repositories by name.
            folder: For the daemon's own files; it exists.
            certificate: Folder of `write_certificate`; without one there is no HTTPS.
            web: The lines of `[web]`.
            client_ca: PEM file of the authorities of clients' certificates.
            tables: Further tables, as they are.
            within: As of `Daemon.start`.
            variables: As of `Daemon.start`.
            endpoint: What its listeners listen on.
        """
        paths = "".join(
            f"{json.dumps(f'/{n}')} = {json.dumps(str(f))}\n" for n, f in folders.items()
        )
        more = f"[log]\nrequests = true\n[web]\n{web}\n"
        if certificate is not None:
            pair = (json.dumps(str(certificate / name)) for name in ("cert.pem", "key.pem"))
            more += "[tls]\ncertificate = {}\nprivate_key = {}\n".format(*pair)
            if client_ca is not None:
                more += f"client_ca = {json.dumps(str(client_ca))}\n"
        more += tables
        text = configuration(
            data=folder / "data",
            framings=FRAMINGS,
            listen=("http",) if certificate is None else ("http", "https"),
            load=(),
            more=more,
        )
        text = text.replace(ANY_PORT, endpoint)
        text = text.replace("[paths]\n", f"[paths]\n{paths}")
        for switch in ("enabled", "http_v2"):
            text = text.replace(f"{switch} = false", f"{switch} = true")
        return cls(
            daemon=Daemon.start(text, folder, within=within, variables=variables),
            folders=folders,
            authority=certificate and certificate / "ca.pem",
        )

    def __enter__(self) -> Self:
        """Return the running daemon."""
        self.daemon.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """End the daemon, and add its log to an error."""
        self.daemon.__exit__(*exception)  # type: ignore[arg-type]

    def url(self, name: str, *, listener: str = "http") -> str:
        """Return the URL of a repository."""
        # `hg` finds no address in a certificate.
        host = "localhost" if listener == "https" else LOOPBACK
        return f"{listener}://{host}:{self.daemon.port(listener)}/{name}"

    def lines_logged(self) -> int:
        """The number of lines in the log so far."""
        return self.daemon.lines_logged()

    def wait_for_request(self, target: str, *, after: int = 0) -> None:
        """Wait until a request is logged, which is after its response.

        Args:
            target: A pattern of the path and query of the request.
            after: The number of lines of the log to skip.

        Raises:
            DaemonError: There was none.
        """
        self.daemon.wait_for_log(rf'"[A-Z]+ {target} HTTP/1\.1" 200 ', after=after)

    def targets(self, *, after: int = 0) -> list[str]:
        """Paths and queries of the requests logged since, in order."""
        lines = self.daemon.log.splitlines()[after:]
        return [found["target"] for found in map(_REQUEST.search, lines) if found]
