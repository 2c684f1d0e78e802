#!/usr/bin/env bash
# CPython 3.11.7, 3.12.1 and 3.13.0 (standard library alone).
#
# A look-up in a dict or set by an `Enum` member calls `Enum.__hash__`, a function written in Python.
# For a member of `IntEnum` nothing written in Python runs: the hash is that of `int`. A table of
# transitions that is asked for each message is several times as fast with the latter.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
cat >seen.py <<'PY'
import sys
from enum import Enum, IntEnum


class Plain(Enum):
    ONE = 1


class Whole(IntEnum):
    ONE = 1


def python_calls(member):
    table, calls = {member: None}, []

    def watch(frame, event, _):
        if event == "call":
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(watch)
    table[member]
    sys.setprofile(None)
    return calls


print("Enum", python_calls(Plain.ONE))
print("IntEnum", python_calls(Whole.ONE))
PY
cat >expected <<'TEXT'
Enum ['Enum.__hash__']
IntEnum []
TEXT
venv/bin/python --version
venv/bin/python seen.py | tee seen
diff expected seen && echo "as seen before"
