"""An asyncio program: calls side by side, deadlines, cancellation, and connecting again.

    python ask_weather.py hgrpc://127.0.0.1:8010/ report Rome Oslo
    python ask_weather.py hgrpc://127.0.0.1:8010/ first Rome Oslo
    python ask_weather.py hgrpc://127.0.0.1:8010/ follow 10

All calls of a program share one connection.
"""

import argparse
import asyncio
import sys

from wiredaemon import CommandError
from wiredaemon.client import ClientError, ConnectionLostError, DeadlineError, aio

PATIENCE = 1
"""Seconds for one measurement."""


async def measure(connection, place):
    """Return a line about a place, whatever becomes of the call."""
    try:
        degrees = await connection.call("measure", {"place": place}, timeout=PATIENCE)
    except DeadlineError:
        return f"{place}: no answer in time"
    except CommandError as error:
        return f"{place}: {error}"
    return f"{place}: {degrees} °C"


async def report(connection, places):
    # All are asked at once; the lines come in the order of the places.
    for line in await asyncio.gather(*(measure(connection, place) for place in places)):
        print(line)


async def first(connection, places):
    tasks = [asyncio.create_task(measure(connection, place)) for place in places]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print(done.pop().result())
    # A task that is cancelled closes its call, and the server stops the command.
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def follow(connection, count):
    while count:
        try:
            async with connection.call("changes") as changes:
                async for number in changes:
                    print("change", number, flush=True)
                    count -= 1
                    if not count:
                        return
        except ConnectionLostError:
            # The next call connects again, and tries that for half a minute.
            print("the connection is lost", flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(description="Asks for the weather.")
    parser.add_argument("url", help="the URL that the server prints")
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("report", "first"):
        actions.add_parser(name).add_argument("places", nargs="+")
    actions.add_parser("follow").add_argument("count", type=int)
    return parser.parse_args()


async def main():
    arguments = read_arguments()
    async with await aio.connect(arguments.url) as connection:
        match arguments.action:
            case "report":
                await report(connection, arguments.places)
            case "first":
                await first(connection, arguments.places)
            case "follow":
                await follow(connection, arguments.count)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except ClientError as failure:
        sys.exit(f"ask_weather: {failure}")
