"""Commands of a Twisted program: below a path of its site, on ports, or on an endpoint of its own.

For instance::

    service = Service(state=counter)

    @service.command("add", permission=Permission.RO, arguments={"n": Argument(...)})
    def add(context, n):
        return context.state.add(n)

    root.putChild(b"rpc", service.resource())
    listener = await service.listen("tcp:0:interface=127.0.0.1")

A service reads no configuration, makes no files and starts no process.
"""

from wiredaemon.service.listener import Listener
from wiredaemon.service.options import Certificate
from wiredaemon.service.service import Service

__all__ = ["Certificate", "Listener", "Service"]
