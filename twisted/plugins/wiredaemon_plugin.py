"""Makes ``twistd wiredaemon`` and ``twist wiredaemon`` known to Twisted.

Every ``twistd`` on the machine runs this file, so it imports nothing of ours.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

wiredaemon = ServiceMaker(
    "wiredaemon",
    "wiredaemon.daemon.service_maker",
    "Serves commands and Mercurial repositories over hgrpc.",
    "wiredaemon",
)
