"""A repository at the root whose worker is the test."""

from __future__ import annotations

import pytest
from support.hgweb import Hosted


@pytest.fixture
def hosted() -> Hosted:
    return Hosted()
