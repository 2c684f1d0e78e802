"""A server to try the client on: temperatures, at some places at once and at others hardly ever.

python weather.py tcp:8010:interface=127.0.0.1
"""

import sys
from itertools import count

from twisted.internet import defer, task

from wiredaemon import Argument, ArgumentType, CommandError, Permission, Service

STATIONS = {"Cairo": (0.1, 28), "Oslo": (0.2, 4), "Rome": (0.3, 17), "South Pole": (3600, -49)}
"""By place: the seconds that a measurement takes, and degrees Celsius."""
TICK = 0.1
"""Seconds between two changes."""

service = Service(allow_plain=True)


@service.command(
    "measure",
    permission=Permission.RO,
    arguments={"place": Argument(type=ArgumentType.TEXT, example="Rome")},
)
async def measure(context, place):
    """Return the temperature of a place in degrees Celsius."""
    if place not in STATIONS:
        raise CommandError("there is no station in %s", [place])
    seconds, degrees = STATIONS[place]
    try:
        await task.deferLater(context.reactor, seconds)
    finally:
        if context.cancelled:
            print("nobody waits for", place, flush=True)
    return degrees


@service.command("changes", permission=Permission.RO)
async def changes(context):
    """Give the number of each change, without end."""
    for number in count(1):
        yield number
        await task.deferLater(context.reactor, TICK)


async def main(reactor, endpoint):
    listener = await service.listen(endpoint)
    print("weather at", listener.url, flush=True)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: defer.Deferred.fromCoroutine(service.stop(0))
    )
    await defer.Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: defer.Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
