"""What the daemon makes of a worker's answer to ``describe``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.fake_workers import error, result
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wiredaemon.commands import CommandError, ServerError
from wiredaemon.net.workers.described import RepositoryUnavailableError, read_unavailable

if TYPE_CHECKING:
    from support.fake_workers import Ready

_case: Final = SynchronousTestCase()


def test_a_description_is_passed_on_as_it_was_said(ready: Ready) -> None:
    pool, worker = ready()
    described = pool.describe(b"/r")
    worker.answer({b"hidden": True})
    assert result(described) == {b"hidden": True}


def test_a_description_that_is_none_is_an_error(ready: Ready) -> None:
    pool, worker = ready()
    described = pool.describe(b"/r")
    worker.answer([])
    assert error(described) == "the repository worker gave no description"


def test_an_error_of_any_other_kind_stays_what_it_is() -> None:
    for other in (ServerError("gone"), CommandError("%s", [b"x"]), CommandError("unavailable")):
        failure = Failure(other)
        assert read_unavailable(failure) is failure


def test_the_reason_of_an_unavailable_repository_is_text_whatever_its_bytes() -> None:
    unavailable = CommandError(b"repository unavailable: %s", [b"/caf\xc3\xa9\xff: gone"])
    with pytest.raises(RepositoryUnavailableError) as raised:
        read_unavailable(Failure(unavailable))
    assert raised.value.reason == "/caf\u00e9\udcff: gone"
