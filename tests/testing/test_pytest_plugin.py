"""The plugin of pytest: what it costs runs that do not use it, and what its fixture does."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from twisted.internet.defer import Deferred

from wiredaemon import Permission, Service
from wiredaemon.testing import NoAnswerError, pytest_plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def ended() -> Iterator[list[str]]:
    """What commands have done when the fixtures of a test have ended."""
    done: list[str] = []
    yield done
    assert done == ["cancelled"]


@pytest.fixture
def service_tester(ended: list[str]) -> Iterator[Any]:  # noqa: ARG001 must end behind this one
    """The plugin's own fixture, whether the plugin is installed here or not."""
    function: Any = pytest_plugin.service_tester
    yield from function.__wrapped__()


def test_testers_are_disconnected_at_the_end_of_the_test(
    service_tester: Any, ended: list[str]
) -> None:
    service = Service()

    @service.command("wait", permission=Permission.RO)
    async def wait(context: Any) -> None:  # noqa: ARG001 every command is given its context
        try:
            await Deferred()
        finally:
            ended.append("cancelled")

    tester = service_tester(service, user="ann")
    waiting = Deferred.fromCoroutine(tester.call("wait"))
    waiting.addErrback(lambda failure: failure.trap(NoAnswerError))
    assert tester.running == 1


def test_loading_the_plugin_loads_no_twisted() -> None:
    program = """
import sys
import pytest
before = set(sys.modules)
import wiredaemon.testing.pytest_plugin
new = {name.partition(".")[0] for name in set(sys.modules) - before}
assert new <= {"wiredaemon", "importlib", "__future__"}, new
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_distribution_offers_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"wiredaemon": "wiredaemon.testing.pytest_plugin"}
