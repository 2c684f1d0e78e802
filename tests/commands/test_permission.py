from __future__ import annotations

import pytest

from wiredaemon.commands.permission import Permission


def test_permissions_are_named_as_urls_and_descriptors_name_them() -> None:
    named = [(permission.value, permission.description) for permission in Permission]
    assert named == [("ro", b"pull"), ("rw", b"push")]


@pytest.mark.parametrize(
    ("granted", "needed", "allowed"),
    [
        (Permission.RO, Permission.RO, True),
        (Permission.RO, Permission.RW, False),
        (Permission.RW, Permission.RO, True),
        (Permission.RW, Permission.RW, True),
    ],
)
def test_read_write_covers_everything_and_read_only_itself(
    granted: Permission, needed: Permission, *, allowed: bool
) -> None:
    assert granted.covers(needed) is allowed
