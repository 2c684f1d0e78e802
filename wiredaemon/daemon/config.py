"""The configuration as frozen values, with the default of each key.

``config_file`` reads them from TOML, and ``conf/wiredaemon.toml`` documents them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.config import AuthConfig
from wiredaemon.daemon.redirect_config import Redirect
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host_lookup import ListShape
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wiredaemon.net.http.proxies import Proxies
    from wiredaemon.net.http.public_urls import PublicUrl

FRAMINGS: Final[Mapping[str, tuple[str, ...]]] = {
    # 0003 in front: a 406 names the first, and the transcripts of the protocol have that one. 0004
    # was never released (framing, section 1).
    "exp-http-v2-0001": ("0003", "0005", "0002"),
    "exp-http-v2-0003": ("0006",),
}
"""The APIs that can be served and the framings each may list, in the default order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The folder of the files that the daemon makes itself."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Framed:
    """A raw listener: a Twisted endpoint string, and the dialect that is spoken there."""

    endpoint: str
    dialect: str = "0006"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Twisted endpoint strings for each kind of listener; an empty list is off."""

    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    framed: tuple[Framed, ...] = ()
    framed_tls: tuple[Framed, ...] = ()

    @property
    def needs_tls(self) -> bool:
        """Some listener needs a certificate."""
        return bool(self.https or self.framed_tls)

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """Return the endpoint strings of each kind."""
        return {
            "http": self.http,
            "https": self.https,
            "framed": tuple(each.endpoint for each in self.framed),
            "framed_tls": tuple(each.endpoint for each in self.framed_tls),
        }


LOOPBACK: Final = Listen(
    # 8000 is the port of `hg serve`.
    http=("tcp:8000:interface=127.0.0.1",),
    https=("tcp:8443:interface=127.0.0.1",),
    framed=(Framed("tcp:8010:interface=127.0.0.1"),),
    framed_tls=(Framed("tcp:8011:interface=127.0.0.1"),),
)
"""The listeners of a configuration without a ``[listen]`` table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Twisted endpoint strings of metrics and health; an empty list is off."""

    listen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files of the TLS listeners; no certificate stands for the development certificate."""

    certificate: Path | None = None
    private_key: Path | None = None
    client_ca: Path | None = None
    """The authorities of clients' certificates; None asks clients for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The HTTP APIs that exist, unless a repository's hgrc says otherwise."""

    enabled: bool = True
    http_v2: bool = True
    debugreflect: bool = False
    json: bool = False
    framings: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(FRAMINGS))
    """API name to its framings, the preferred one first."""

    @property
    def switches(self) -> ApiSwitches:
        """The switches that a repository's hgrc may override."""
        return ApiSwitches(
            enabled=self.enabled,
            http_v2=self.http_v2,
            debugreflect=self.debugreflect,
            json=self.json,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The log entries that are optional."""

    requests: bool = False
    """A line for each HTTP request, as web servers write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The daemon's process."""

    # A stop by systemd is followed by SIGKILL after 90 seconds, by Docker after 10 by default.
    drain_seconds: float = 30.0
    """Seconds that requests have to end when the daemon is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The sources of commands besides the package and its entry points."""

    load: tuple[Path | str, ...] = ()
    """Files as absolute paths, modules as dotted names, in the order given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that can be configured; all paths are absolute."""

    data: Data
    file: Path | None = None
    """The file that it was read from; None for the embedded default."""
    listen: Listen = LOOPBACK
    admin: Admin = Admin()
    tls: Tls = Tls()
    api: Api = field(default_factory=Api)
    web: AccessRules = field(default_factory=AccessRules)
    lists: ListShape = field(default_factory=ListShape)
    """The shape of lists of repositories, which is in ``[web]``, too."""
    paths: Mapping[str, Path] = field(default_factory=dict)
    """URL prefix ("/" or "/name/name") to repository folder, or with the star or stars of a
    collection after a slash ("/name/*") to the folder of repositories; empty serves commands
    only."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """URL prefixes under which repositories were served before, to those of now."""
    commands: Commands = Commands()
    log: Log = Log()
    server: Server = Server()
    redirect: Redirect = field(default_factory=Redirect)
    proxy: Proxies | None = None
    """The proxies whose word about their clients counts; None for none."""
    public_urls: Mapping[str, PublicUrl] = field(default_factory=dict)
    """Paths, as in ``paths`` without stars, to the URLs by which clients know them."""
    limits: Limits = field(default_factory=Limits)
    auth: AuthConfig = field(default_factory=AuthConfig)

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """Return the endpoint strings of all listeners, by their keys."""
        kinds = {f"listen.{kind}": each for kind, each in self.listen.endpoints().items()}
        return {**kinds, "admin.listen": self.admin.listen}

    @property
    def repositories(self) -> Mapping[str, Path]:
        """The single entries of ``paths``: URL prefix to repository folder."""
        return {prefix: path for prefix, path in self.paths.items() if not prefix.endswith("*")}

    @property
    def collections(self) -> tuple[Collection, ...]:
        """The other entries of ``paths``."""
        return tuple(
            Collection(
                prefix=prefix.rstrip("*").rstrip("/") or "/",
                folder=path,
                enters_repositories=prefix.endswith("**"),
            )
            for prefix, path in self.paths.items()
            if prefix.endswith("*")
        )
