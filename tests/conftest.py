"""For all tests: limits of time, the examples that properties draw, and groups to choose from."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

from hypothesis import settings

# Mercurial decides its text encoding at its first import in a process: it is imported as the
# workers import it, whoever does so first.
import wiredaemon.worker.library  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

pytest_plugins = ["support.session", "support.time_limit", "support.clients", "support.site"]

GROUPS: Final[Mapping[str, str]] = {
    "daemon/": "daemon",
    "docs/test_readme.py": "daemon",
    "docs/test_site.py": "slow",
    "examples/": "daemon",
    "faults/": "daemon",
    "seeds/": "daemon",
    "interop/": "hg",
    "proxies/": "hg",
    "net/workers/test_pool_of_processes.py": "hg",
    "tools/": "hg",
    "transcripts/": "daemon",
    "worker/": "hg",
    "test_loaded_hg.py": "hg",
    "test_session.py": "slow",
    "test_wheel.py": "slow",
}
"""The marker of all tests in a folder or a file."""

GROUP_FIXTURES: Final[Mapping[str, str]] = {"real_pool": "hg", "large": "hg"}
"""The marker of all tests that use a fixture, wherever they are."""

# `make test` draws few examples, and the same for the same test: a change is judged by what it
# changes, and two runs of one commit agree. `make test-long` draws new ones each time, and more.
# Neither limits the time of one example: pytest-timeout limits the time of the test.
settings.register_profile("short", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=2000, deadline=None)
# `--hypothesis-profile` is read later, and goes before it.
settings.load_profile("short")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: thousands of tests and their modules.

    Many tests collect garbage to see what was leaked; each took half a second, for that alone.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with the groups that it belongs to."""
    tests = config.rootpath / "tests"
    for item in items:
        path = item.path.relative_to(tests).as_posix()
        names = {marker for start, marker in GROUPS.items() if path.startswith(start)}
        fixtures = getattr(item, "fixturenames", ())
        names |= {marker for name, marker in GROUP_FIXTURES.items() if name in fixtures}
        for name in names:
            item.add_marker(name)
