"""A job: count the primes below a number. It prints how far it is, and at the end the count.

python primes.py 10000000
"""

import signal
import sys

PARTS = 100


def main(below):
    sieve = bytearray([1]) * below
    sieve[:2] = bytes(min(2, below))
    count, start = 0, 0
    for part in range(1, PARTS + 1):
        end = below * part // PARTS
        for number in range(start, end):
            if sieve[number]:
                count += 1
                multiples = range(number * number, below, number)
                sieve[number * number :: number] = bytes(len(multiples))
        start = end
        print("done", part, flush=True)
    print("primes", count)


if __name__ == "__main__":
    # Ctrl-C at the queue reaches its jobs, too: they end without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main(int(sys.argv[1]))
