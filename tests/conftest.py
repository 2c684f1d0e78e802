"""For all tests: Mercurial is imported as the workers import it, whoever does so first.

Its text encoding is decided at its first import in a process.
"""

import wiredaemon.worker.library  # noqa: F401
