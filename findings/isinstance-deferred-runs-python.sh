#!/usr/bin/env bash
# Twisted==26.10.0 on CPython 3.11.
#
# `Deferred` derives from `collections.abc.Awaitable`, so its metaclass is `ABCMeta`, and
# `isinstance(value, Deferred)` calls `ABCMeta.__instancecheck__`, written in Python, for every value
# that is none, also after the first one of a type. Code that asks for each message does better to
# test for the type it expects first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/python -m pip install --quiet Twisted==26.10.0
cat >seen.py <<'PY'
import sys

from twisted.internet.defer import Deferred


def python_calls(value, kind):
    calls = []

    def watch(frame, event, _):
        if event == "call":
            calls.append(frame.f_code.co_qualname)

    isinstance(value, kind)  # what is learnt about the type at first is kept
    sys.setprofile(watch)
    isinstance(value, kind)
    sys.setprofile(None)
    return calls


print(type(Deferred).__name__, [base.__name__ for base in Deferred.__bases__])
print("none", python_calls(b"value", Deferred))
print("one", python_calls(Deferred(), Deferred))
PY
cat >expected <<'TEXT'
ABCMeta ['Awaitable']
none ['ABCMeta.__instancecheck__']
one []
TEXT
venv/bin/python --version
venv/bin/python seen.py | tee seen
diff expected seen && echo "as seen before"
