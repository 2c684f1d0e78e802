"""A client of `chat_server.py` for asyncio: an event stream, a large upload, and stopping.

    python client_asyncio.py hgrpc://127.0.0.1:8010/ listen
    python client_asyncio.py hgrpc://127.0.0.1:8010/ say hello
    python client_asyncio.py hgrpc://127.0.0.1:8010/ upload 500
    python client_asyncio.py hgrpc://127.0.0.1:8010/ stop

The URL is the one that the server prints.
"""

import asyncio

from client_shared import MB, Upload, Watcher, read_arguments

from wiredaemon.client import DeadlineError, aio

ENOUGH = 3


async def listen(connection, texts):
    # Leaving the block closes the call, and with it the command at the server.
    async with connection.call("listen") as call:
        greeting = await anext(call)
        print(greeting.decode(), flush=True)
        for _ in range(texts):
            text = await anext(call)
            print(text.decode(), flush=True)


async def upload(connection, size):
    data = Upload(size)
    data.check(await connection.call("upload", data=data, observer=Watcher(size)))


async def stop(connection):
    async with connection.call("count_slowly", {"to": 1000}) as call:
        async for number in call:
            if number == ENOUGH:
                break  # and no further number is made
    # A task that is cancelled while it awaits a call closes it as well.
    sleeping = asyncio.ensure_future(connection.call("sleep", {"seconds": 60}).result())
    # Over HTTP each call has a connection of its own, and the later one may be there first.
    while not await connection.call("sleepers"):
        pass
    sleeping.cancel()
    try:
        await connection.call("sleep", {"seconds": 60}, timeout=0.5)
    except DeadlineError as error:
        print(error)


async def main():
    arguments, options = read_arguments()
    async with await aio.connect(arguments.url, options) as connection:
        match arguments.action:
            case "listen":
                await listen(connection, arguments.texts)
            case "say":
                print(await connection.call("say", {"text": arguments.text}), "are listening")
            case "upload":
                await upload(connection, arguments.megabytes * MB)
            case "stop":
                await stop(connection)


if __name__ == "__main__":
    asyncio.run(main())
