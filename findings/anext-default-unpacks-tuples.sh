#!/usr/bin/env bash
# CPython 3.11.7, 3.12.1 and 3.13.0 with Twisted==26.10.0.
#
# `await anext(generator, default)` passes what is sent into it on as the arguments of a call, so a
# tuple of two ends in a TypeError about the arguments of `async_generator_asend.send()`. asyncio
# sends only None and never meets this; Twisted sends the result of each Deferred that is awaited.
# `await anext(generator)` is right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/python -m pip install --quiet Twisted==26.10.0
cat >seen.py <<'PY'
from twisted.internet.defer import Deferred


async def results(waited):
    yield await waited


async def ask(waited, *default):
    return await anext(results(waited), *default)


for result in ((1,), (1, 2), [1, 2]):
    for default in ((), ("default",)):
        waited = Deferred()
        asked = Deferred.fromCoroutine(ask(waited, *default))
        outcome = []
        asked.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
        waited.callback(result)
        print(len(default), repr(result), "->", repr(outcome[0]))
PY
cat >expected <<'TEXT'
0 (1,) -> (1,)
1 (1,) -> (1,)
0 (1, 2) -> (1, 2)
1 (1, 2) -> TypeError('async_generator_asend.send() takes exactly one argument (2 given)')
0 [1, 2] -> [1, 2]
1 [1, 2] -> [1, 2]
TEXT
venv/bin/python --version
venv/bin/python seen.py | tee seen
diff expected seen && echo "as seen before"
