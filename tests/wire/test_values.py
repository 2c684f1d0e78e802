from __future__ import annotations

from wiredaemon.wire.values import IndefiniteBytes, RawBytes


def test_values_compare_by_what_they_hold() -> None:
    assert RawBytes(b"a") == RawBytes(b"a")
    assert RawBytes(b"a") != RawBytes(b"b")
    assert IndefiniteBytes([b"a"]) == IndefiniteBytes([b"a"])
