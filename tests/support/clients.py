"""What tests with real clients share: another release of Mercurial, and a certificate to trust."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from support.environment import LOOPBACK
from support.hg import Hg
from support.serving import write_certificate
from support.time_limit import unlimited

from tools.mercurial6 import UnavailableError, mercurial6

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def hg6() -> Hg:
    """Mercurial 6.0.3, the last that speaks version 2."""
    try:
        with unlimited():  # its first use compiles it, for minutes
            return Hg((str(mercurial6()),))
    except UnavailableError as missing:
        # Whoever promises to have tested everything must not leave this out unseen.
        if os.environ.get("CI") and sys.version_info[:2] == (3, 11):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a certificate for loopback, and of who vouches for it."""
    return write_certificate(tmp_path_factory.mktemp("certificate"), LOOPBACK, "localhost")
