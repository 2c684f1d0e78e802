"""Answers the version 1 ``capabilities`` request, which may ask for a map of APIs instead.

Source: http, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.commands import Permission
from wiredaemon.commands.capabilities import describe_api
from wiredaemon.net.hosting.access import authorize
from wiredaemon.net.http.responses import HttpResponse, denied_version1, unavailable
from wiredaemon.wire import cbor
from wiredaemon.wire.cbor_heads import KeyOrder
from wiredaemon.wire.dialects import ResponseForm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wiredaemon.commands import Peer, Value
    from wiredaemon.net.hosting.host import Host, Settings
    from wiredaemon.net.http.application import Api

VERSION1: Final = (b"Content-Type", b"application/mercurial-0.1")
_CBOR: Final = (b"Content-Type", b"application/mercurial-cbor")
_BUNDLES: Final = (b"clonebundles", b"clonebundles_manifest")
_NUMBERED: Final = 100
"""The most numbered headers that are read: more than clients send, which split at 1 KiB."""


def numbered_header(header: Callable[[bytes], bytes | None], name: bytes) -> bytes:
    """Join the values of ``name-1``, ``name-2``, ... without a separator."""
    parts: list[bytes] = []
    for number in range(1, _NUMBERED + 1):
        value = header(b"%s-%d" % (name, number))
        if value is None:
            break
        parts.append(value)
    return b"".join(parts)


def answer_capabilities(
    host: Host,
    settings: Settings,
    apis: Sequence[Api],
    header: Callable[[bytes], bytes | None],
    peer: Peer,
) -> HttpResponse:
    """Return the response to ``?cmd=capabilities``: version 1's, or the map that was asked for."""
    denial = authorize(settings.access, Permission.RO, peer)
    if denial is not None:
        return denied_version1(denial)
    # Dialect 0002 had no upgrade: an API with no other dialect is not offered.
    upgradable = [api for api in apis if _describing(api) is not None]
    wanted = numbered_header(header, b"X-HgUpgrade").split()
    protocols = numbered_header(header, b"X-HgProto").split()
    # All four, or version 1's answer without a word: clients take that for "no version 2 here"
    # (http, section 4).
    if not (settings.switches.enabled and upgradable and wanted and b"cbor" in protocols):
        if settings.lacks_repository:
            return unavailable()  # version 1 has nothing but repositories
        return HttpResponse(
            status=200,
            reason=b"Script output follows",
            headers=(VERSION1,),
            body=_version1(host, settings),
        )
    # An empty map is still one: the client asked, and nothing of it is on (http, section 4).
    offered = upgradable if settings.switches.http_v2 else []
    content: dict[bytes, Value] = {
        b"apibase": b"api/",
        b"apis": {
            api.name: _describe(api, host, settings) for api in offered if api.name in wanted
        },
        b"v1capabilities": _version1(host, settings),
    }
    return HttpResponse(
        status=200, reason=b"OK", headers=(_CBOR,), body=cbor.encode(content, _key_order(offered))
    )


def _version1(host: Host, settings: Settings) -> bytes:
    """Return the capabilities of version 1; those of bundles are said where there are some."""
    known = settings.facts.version1
    if host.bundles is None or not host.bundles.has_any:
        return known
    return b" ".join(sorted({*known.split(b" "), *_BUNDLES}))


def _describing(api: Api) -> int | None:
    """Return the index of the first framing whose era had descriptors; None if there is none."""
    for place, framing in enumerate(api.framings):
        if framing.response is not ResponseForm.TEXT:
            return place
    return None


def _describe(api: Api, host: Host, settings: Settings) -> Value:
    framing = api.framings[_describing(api) or 0]
    return describe_api(host.registry, framing, api.framings, settings.facts)


def _key_order(offered: Sequence[Api]) -> KeyOrder:
    # One map for all APIs: the order of the newest era, where one of them has it.
    orders = {framing.cbor.key_order for api in offered for framing in api.framings}
    return KeyOrder.BYTEWISE if KeyOrder.BYTEWISE in orders else KeyOrder.CANONICAL
