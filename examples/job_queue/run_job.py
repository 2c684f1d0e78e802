"""A client of `job_queue.py`: it submits a job and waits for it. Ctrl-C cancels the job.

python run_job.py hgrpc://127.0.0.1:8010/ 10000000
"""

import sys

from wiredaemon import CommandError
from wiredaemon.client import ClientError, blocking


def main(url, below):
    with blocking.connect(url) as connection:
        number = connection.call("submit", {"below": below}).result()
        try:
            print("job", number, "is submitted", flush=True)
            with connection.call("watch", {"job": number}) as states:
                for job in states:
                    state, percent = job[b"state"].decode(), job[b"percent"]
                    if sys.stdout.isatty():
                        print(f"\r{state}: {percent} % ", end="", flush=True)
        except KeyboardInterrupt:
            # The watching was stopped; the job is stopped only because we say so.
            job = connection.call("cancel", {"job": number}).result()
            state = job[b"state"].decode()
    if state != "done":
        sys.exit(f"job {number} is {state}")
    print(f"there are {job[b'primes']:,} primes below {below:,}")


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except (ClientError, CommandError) as failure:
        sys.exit(f"run_job: {failure}")
