"""Requests for bundles: the manifest, a bundle as the answer to a command, and as a file.

Whoever asks here may pull: that was decided before.

Source: extensions, section 1.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

from wiredaemon.net.cache.clone_requests import arguments_of
from wiredaemon.net.hgweb.capabilities import VERSION1, numbered_header
from wiredaemon.net.hgweb.kept_file import FileResponse
from wiredaemon.net.hgweb.rules import BUNDLES
from wiredaemon.net.http.ranges import Wanted, wanted_part
from wiredaemon.net.http.responses import HttpResponse, text
from wiredaemon.net.peer import host_of, is_in_reach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from wiredaemon.net.cache.bundle_shelf import KeptBundle
    from wiredaemon.net.cache.bundles import RepositoryBundles
    from wiredaemon.net.hosting.collection import Names
    from wiredaemon.net.http.public_urls import PublicUrls
    from wiredaemon.net.http.request import StreamingRequest
    from wiredaemon.repository.web_calls import WebRequest

MANIFEST: Final = b"clonebundles_manifest"
OLDER_MANIFEST: Final = b"clonebundles"
INLINE: Final = b"get_cached_bundle_inline"
COMMANDS: Final = frozenset({MANIFEST, OLDER_MANIFEST, INLINE})
"""The commands of version 1 that may be answered from what is kept."""
_OF_PROXIES: Final = (
    *(b"Via", b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Proto"),
    *(b"X-Forwarded-Server", b"X-Real-IP"),
)
_SCHEME: Final = b"peer-bundle-cache://"
_SUFFIX: Final = ".hg"
_OK, _PART, _SAME, _BEYOND = 200, 206, 304, 416
_VERSION2: Final = (b"Content-Type", b"application/mercurial-0.2")
_ENGINE: Final = b"\x04none"
"""The engine's name after its length: a bundle is compressed as it is."""
_BYTES: Final = (b"Accept-Ranges", b"bytes")
# Asked for each time: who may read it may change, and so may what is served.
_FRESH: Final = (b"Cache-Control", b"private, no-cache")
_TYPE: Final = (b"Content-Type", b"application/octet-stream")
NO_BUNDLE: Final = text(404, b"Not Found", b"there is no such bundle\n")


class BundleRequests:
    """Answers requests for the bundles of one repository.

    Args:
        bundles: The repository's bundles.
        header: Returns a header of the request.
        is_near: Bytes to the client are cheap.
    """

    def __init__(
        self,
        bundles: RepositoryBundles,
        header: Callable[[bytes], bytes | None],
        *,
        is_near: bool = False,
    ) -> None:
        self._bundles = bundles
        self._header = header
        self._is_near = is_near

    def of(
        self,
        wanted: WebRequest,
        body: bytes | bytearray | memoryview,
        command: bytes,
        url: bytes | None,
    ) -> Callable[[], Awaitable[FileResponse | HttpResponse | None]]:
        """Return what answers one of the commands.

        Args:
            wanted: The head of the request.
            body: Its whole body, which holds arguments if anything.
            command: The command.
            url: As `manifest` takes it.
        """
        if command != INLINE:
            return partial(self.manifest, command, url)
        arguments = arguments_of(wanted, body) or {}
        return partial(self.inline, arguments.get(b"path", b""))

    async def manifest(self, command: bytes, url: bytes | None) -> HttpResponse | None:
        """Return the manifest; None where Mercurial answers, because there are no bundles.

        What a person has written goes first.

        Args:
            command: The command that asks for it.
            url: The folder of bundles as the client sees it, with a slash at its end; None if
                that is not certain.
        """
        offer = await self._bundles.offer(is_near=self._is_near)
        if offer is None:
            return None
        lines = [offer.states.older if command == OLDER_MANIFEST else offer.states.manifest]
        for bundle in offer.bundles:
            # First: copies are there so that nobody need ask here.
            for target in self._bundles.copies(bundle):
                more = b" REQUIRESNI=true" if target.sni_required else b""
                lines.append(_entry(target.url.encode("ascii"), bundle, suffix=b"", more=more))
            if command == MANIFEST and self._knows_version2():
                # Before the URL: the client asks over the connection that it has, whatever lies
                # between.
                lines.append(_entry(_SCHEME, bundle))
            if url is not None:
                lines.append(_entry(url, bundle))
        body = b"".join(lines)
        return HttpResponse(
            status=_OK, reason=b"Script output follows", headers=(VERSION1,), body=body
        )

    def _knows_version2(self) -> bool:
        return b"0.2" in numbered_header(self._header, b"X-HgProto").split()

    async def inline(self, name: bytes) -> FileResponse | None:
        """Return the answer to the command that asks for a bundle; None if it is none of ours."""
        bundle = await self._find(name) if self._knows_version2() else None
        if bundle is None:
            return None
        before = _ENGINE + _variable_length(bundle.size)
        found = self._response(bundle, _OK, b"Script output follows", (_VERSION2,))
        return replace(found, before=before)

    async def file(self, name: bytes) -> FileResponse | HttpResponse:
        """Return a bundle as a file, or the part of it that is wanted."""
        bundle = await self._find(name)
        if bundle is None:
            return NO_BUNDLE
        etag = b'"%s"' % bundle.name.encode()
        headers = (_TYPE, _BYTES, _FRESH, (b"ETag", etag))
        part = wanted_part(self._header, etag, bundle.size)
        if part is Wanted.NOTHING:
            return self._response(bundle, _SAME, b"Not Modified", headers[1:])
        if part is Wanted.BEYOND:
            within = (b"Content-Range", b"bytes */%d" % bundle.size)
            return HttpResponse(
                status=_BEYOND, reason=b"Range Not Satisfiable", headers=(*headers[1:], within)
            )
        if part.is_whole:
            return self._response(bundle, _OK, b"OK", headers)
        end = part.start + part.size - 1
        place = b"bytes %d-%d/%d" % (part.start, end, bundle.size)
        found = self._response(
            bundle, _PART, b"Partial Content", (*headers, (b"Content-Range", place))
        )
        return replace(found, start=part.start, size=part.size)

    def _response(
        self,
        bundle: KeptBundle,
        status: int,
        reason: bytes,
        headers: Sequence[tuple[bytes, bytes]],
    ) -> FileResponse:
        return FileResponse(
            shelf=self._bundles.shelf,
            bundle=bundle,
            status=status,
            reason=reason,
            headers=headers,
            size=bundle.size,
        )

    async def _find(self, name: bytes) -> KeptBundle | None:
        shown = name.decode("latin-1")
        if not shown.endswith(_SUFFIX):
            return None
        return await self._bundles.find(shown.removesuffix(_SUFFIX))


def certain_url(request: StreamingRequest, public_urls: PublicUrls, prefix: Names) -> bytes | None:
    """Return the folder of bundles as the client sees it; None where that is not certain.

    A client whose bundle cannot be had ends its clone. So nothing is guessed behind a proxy that
    the configuration does not trust: what it says of the client may be wrong, or left out.

    Args:
        request: The client's request.
        public_urls: The URLs of what is served.
        prefix: The components of the repository's path.
    """
    urls, folder = public_urls.seen_by(request), (*prefix, *BUNDLES)
    client = request.channel.client
    is_trusted = client is not None and client.is_proxy
    if not is_trusted and not urls.is_configured(folder) and _is_forwarded(request):
        return None
    return urls.of(folder).text().encode("ascii")


def is_near(request: StreamingRequest) -> bool:
    """Return whether bytes to the client of a request are cheap, as far as that can be seen.

    They are to clients on this machine and in private networks. A client that a proxy stands for
    may be anywhere, unless only trusted ones lie between, and say who it is.
    """
    client = request.channel.client
    if client is not None and client.is_proxy:
        is_certain = request.identification is not None and request.identification.is_told(request)
    else:
        is_certain = not _is_forwarded(request)
    return is_certain and is_in_reach(host_of(request.peer()))


def _is_forwarded(request: StreamingRequest) -> bool:
    """Return whether a proxy shows itself: clients of Mercurial speak HTTP/1.1."""
    return request.clientproto != b"HTTP/1.1" or any(map(request.header, _OF_PROXIES))


def _entry(
    folder: bytes, bundle: KeptBundle, *, suffix: bytes = _SUFFIX.encode(), more: bytes = b""
) -> bytes:
    spec = quote_from_bytes(bundle.facts.spec, safe="").encode("ascii")
    name = bundle.name.encode("ascii") + suffix
    return b"%s%s BUNDLESPEC=%s%s\n" % (folder, name, spec, more)


def _variable_length(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first, each but the last marked."""
    groups = bytearray()
    while number > 0x7F:  # noqa: PLR2004 seven bits
        groups.append(0x80 | number & 0x7F)
        number >>= 7
    groups.append(number)
    return bytes(groups)
