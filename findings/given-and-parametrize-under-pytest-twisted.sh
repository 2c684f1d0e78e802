#!/usr/bin/env bash
# pytest-twisted==1.14.3, pytest==9.2.0, hypothesis==6.170.17, Twisted==26.10.0, CPython 3.11.
#
# A hypothesis property that is also parametrized runs for its first parameter only. The other
# instances fail, in the plugin: "blockon cannot be called from the twisted greenlet". Without the
# plugin, all parameters are run and pass.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/python -m pip install --quiet \
    pytest-twisted==1.14.3 pytest==9.2.0 hypothesis==6.170.17 Twisted==26.10.0
cat >test_words.py <<'PY'
import pytest
from hypothesis import given, settings, strategies as st

seen = set()


@pytest.mark.parametrize("word", ["one", "two", "three"])
@settings(max_examples=2, database=None, deadline=None)
@given(number=st.integers())
def test_word(word, number):
    seen.add(word)


def test_seen():
    print("\nwords:", *sorted(seen))
PY
run() {
    venv/bin/python -m pytest -q -s -p no:cacheprovider "$@" test_words.py >log 2>&1 || true
    grep -oE "^words:.*|[0-9]+ failed, [0-9]+ passed|^[0-9]+ passed|blockon cannot be called from the twisted greenlet" log |
        sort -u
}
{
    echo "with the plugin"
    run
    echo "without it"
    run -p no:twisted
} | tee seen
cat >expected <<'TEXT'
with the plugin
2 failed, 2 passed
blockon cannot be called from the twisted greenlet
words: one
without it
4 passed
words: one three two
TEXT
diff expected seen && echo "as seen before"
