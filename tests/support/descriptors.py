"""This process without a descriptor to open anything with."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing, while the context lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The standard files have the lower numbers.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
