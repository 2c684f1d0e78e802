"""A client of `chat_server.py` for scripts: an event stream, a large upload, and stopping.

    python client_blocking.py hgrpc://127.0.0.1:8010/ listen
    python client_blocking.py hgrpc://127.0.0.1:8010/ say hello
    python client_blocking.py hgrpc://127.0.0.1:8010/ upload 500
    python client_blocking.py hgrpc://127.0.0.1:8010/ stop

The URL is the one that the server prints.
"""

from client_shared import MB, Upload, Watcher, read_arguments

from wiredaemon.client import DeadlineError, blocking

ENOUGH = 3


def listen(connection, texts):
    # Leaving the block closes the call, and with it the command at the server.
    with connection.call("listen") as call:
        print(next(call).decode(), flush=True)
        for _ in range(texts):
            print(next(call).decode(), flush=True)


def upload(connection, size):
    data = Upload(size)
    data.check(connection.call("upload", data=data, observer=Watcher(size)).result())


def stop(connection):
    with connection.call("count_slowly", {"to": 1000}) as call:
        for number in call:
            if number == ENOUGH:
                break  # and no further number is made
    sleeping = connection.call("sleep", {"seconds": 60})
    # Over HTTP each call has a connection of its own, and the later one may be there first.
    while not connection.call("sleepers").result():
        pass
    sleeping.close()
    try:
        connection.call("sleep", {"seconds": 60}, timeout=0.5).result()
    except DeadlineError as error:
        print(error)


def main():
    arguments, options = read_arguments()
    with blocking.connect(arguments.url, options) as connection:
        match arguments.action:
            case "listen":
                listen(connection, arguments.texts)
            case "say":
                answer = connection.call("say", {"text": arguments.text})
                print(answer.result(), "are listening")
            case "upload":
                upload(connection, arguments.megabytes * MB)
            case "stop":
                stop(connection)


if __name__ == "__main__":
    main()
