from __future__ import annotations

import pytest

from wiredaemon.wire import cbor
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.values import Encoded, IndefiniteBytes, RawBytes, UnencodableError


def test_values_compare_by_what_they_hold() -> None:
    assert RawBytes(b"a") == RawBytes(b"a")
    assert RawBytes(b"a") != RawBytes(b"b")
    assert IndefiniteBytes([b"a"]) == IndefiniteBytes([b"a"])
    assert Encoded([b"a", b"b"]) == Encoded([b"a", b"b"])
    assert Encoded([b"ab"]) != Encoded([b"a", b"b"])


@pytest.mark.parametrize("value", [Encoded([b"\x01"]), [Encoded([b"\x01"])]])
def test_encoded_content_is_not_encoded_again(value: object) -> None:
    with pytest.raises(UnencodableError):
        cbor.encode(value, DIALECTS["0006"].cbor.key_order)  # type: ignore[arg-type]
