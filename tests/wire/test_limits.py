from __future__ import annotations

import dataclasses

import pytest

from wiredaemon.wire.limits import SENT_PAYLOAD, Limits


def test_the_limits_of_wire_and_protocol_have_safe_defaults() -> None:
    # reliability 3
    limits = Limits()
    assert SENT_PAYLOAD == 32_768
    assert limits.frame_payload == 65_536
    assert limits.request_size == 4 * 1024 * 1024
    assert (limits.request_frames, limits.empty_frames) == (256, 8)
    assert limits.half_open_requests == 16
    assert (limits.concurrent_requests, limits.running_commands) == (100, 8)
    assert (limits.cbor_depth, limits.cbor_elements) == (32, 130_000)
    assert (limits.command_data, limits.undeclared_data) == (1024**3, 1024**2)
    assert limits.settings_size <= 16 * 1024
    assert (limits.decoded_size, limits.encoded_streams) == (1024**2, 32)
    assert limits.output_high == 256 * 1024


def test_limits_are_values() -> None:
    assert Limits() == Limits()
    assert Limits(cbor_depth=4) != Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().cbor_depth = 4  # type: ignore[misc]
