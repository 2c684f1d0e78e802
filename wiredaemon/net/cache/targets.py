"""Redirect targets: the servers that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from wiredaemon.commands.capabilities import RedirectTarget

PUT: Final = "put:"
S3: Final = "s3://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server that clients are sent to, and the way to put content there."""

    name: str
    url: str
    """The address that clients fetch objects at: an object's name is appended."""
    upload: str
    """``put:URL``, with the names appended, or ``s3://bucket/prefix``."""
    endpoint_url: str = ""
    """The URL of the S3 service; empty for Amazon's."""
    region: str = ""
    """The region of the S3 bucket; empty for the one that boto3 is configured with."""
    tls_versions: tuple[str, ...] = ()
    sni_required: bool | None = None
    # A redirect costs the client a connection and some round trips; at 100 Mbit/s this much is sent
    # in that time.
    min_size: int = 1024 * 1024
    """The smallest content that clients are redirected for, in bytes."""
    # A client that is sent to a missing object fails: an hour is how long a mistake of others may
    # last.
    fresh_seconds: float = 3600.0
    """Time for which an object is taken to be there since it was seen."""

    bundles: bool = False
    """Bundles are copied there, too, and clients of today are told of the copies."""

    @property
    def described(self) -> RedirectTarget:
        """The target as capability descriptors show it."""
        return RedirectTarget(
            name=self.name.encode(),
            protocol=urlsplit(self.url).scheme.encode(),
            uris=[self.url.encode()],
            sni_required=self.sni_required,
            tls_versions=[version.encode() for version in self.tls_versions],
        )
