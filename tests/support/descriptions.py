"""Descriptions of repositories, as workers return them."""

from __future__ import annotations

from typing import Any

from wiredaemon.repository.clone_bundles import StreamsFirst
from wiredaemon.repository.descriptions import Description


def described(**changes: Any) -> Description:
    """Return the description of a plain repository without settings, with some changes."""
    plain: dict[str, Any] = {
        "web": {},
        "api": {},
        "requirements": [b"revlogv1"],
        "compression": [b"zlib"],
        "stream_allowed": True,
        "capabilities": b"batch known",
        "version1": {},
        "description": b"",
        "contact": b"",
        "name": b"",
        "labels": [],
        "hidden": False,
        "extensions": b"none",
        "watched": [],
        "rare": [],
        "state": [],
        "journals": [],
        "clones": b"",
        "clones_by_user": False,
        "bundles": [],
        "streams_first": StreamsFirst.NEAR,
    }
    return Description(**{**plain, **changes})
