"""``python -m wiredaemon.worker``: the worker program."""

from wiredaemon.worker.program import main

main()
