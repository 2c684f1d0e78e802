"""The table of the class of response for each form of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.protocol.bytes_responses import BytesResponse
from wiredaemon.protocol.objects_responses import ObjectsResponse
from wiredaemon.protocol.status_map_responses import StatusMapResponse
from wiredaemon.wire.dialects import ResponseForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.protocol.responses import Response

RESPONSES: Final[Mapping[ResponseForm, type[Response]]] = {
    ResponseForm.TEXT: BytesResponse,
    ResponseForm.BYTES_OR_CBOR: BytesResponse,
    ResponseForm.CBOR: BytesResponse,
    ResponseForm.STATUS_MAP: StatusMapResponse,
    ResponseForm.OBJECTS: ObjectsResponse,
}
