from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from wiredaemon.daemon.descriptors import SPARE

PROGRAM = """
import resource, sys
from twisted.logger import globalLogBeginner, textFileLogObserver
globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
from wiredaemon.daemon.descriptors import fit_connections
from wiredaemon.wire.limits import Limits
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
limits = fit_connections(Limits(connections=wanted))
print(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
"""Run in a process of its own, for a hard limit cannot be raised again."""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "connections", "raised"),
    [
        (700, 800, 400, 400, 700),
        (300, 800, 400, 400, 400 + SPARE),
        (300, 500, 400, 500 - SPARE, 500),
        (100, 100, 400, 16, 100),
        (100, 100, 5, 5, 100),
    ],
)
def test_connections_fit_the_descriptors_that_the_process_can_have(
    soft: int, hard: int, wanted: int, connections: int, raised: int
) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < hard:
        pytest.skip("the system gives fewer")
    numbers = [str(soft), str(hard), str(wanted)]
    command = [sys.executable, "-c", PROGRAM, *numbers]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(connections), str(raised)]
    said = f"connections is {connections}, not {wanted}: "
    assert run.stderr.count(said) == (connections < wanted)
    assert len(run.stderr.splitlines()) == (connections < wanted)
