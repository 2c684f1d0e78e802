from __future__ import annotations

import subprocess
import sys
from typing import Final

PROGRAM: Final = """
from twisted.internet import reactor
from wiredaemon.accounts.bcrypt_hashes import DECOY, is_password
from wiredaemon.accounts.check_threads import THREADS, CheckThreads

threads = CheckThreads(reactor)
for number in range(THREADS):
    threads.call(is_password, b"%d" % number, DECOY).addErrback(lambda _: None)
reactor.callLater(0, reactor.stop)
reactor.run()
"""


def test_checks_that_run_do_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], check=False, timeout=50)
    assert ended.returncode == 0
