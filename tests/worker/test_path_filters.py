from __future__ import annotations

import time
from typing import Any

import pytest

from wiredaemon.commands import CommandError
from wiredaemon.worker.path_filters import parse_path_filter

PATHS = (b"a", b"dir", b"dir/a", b"dir/sub/b", b"dir.c", b"other/a")


def passing(given: Any) -> list[bytes]:
    passes = parse_path_filter(given)
    return [path for path in PATHS if passes is None or passes(path)]


@pytest.mark.parametrize(
    "given", [None, {}, {b"include": []}, {b"include": [], b"exclude": []}, {b"x": [b"y"]}]
)
def test_without_patterns_all_paths_pass(given: Any) -> None:
    assert passing(given) == list(PATHS)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"path:dir", [b"dir", b"dir/a", b"dir/sub/b"]),
        (b"path:dir/", [b"dir", b"dir/a", b"dir/sub/b"]),
        (b"path:dir/sub", [b"dir/sub/b"]),
        (b"path:a", [b"a"]),
        (b"path:.", list(PATHS)),
        (b"path:", list(PATHS)),
        (b"path:../a", []),
        (b"rootfilesin:dir", [b"dir/a"]),
        (b"rootfilesin:.", [b"a", b"dir", b"dir.c"]),
        (b"rootfilesin:", [b"a", b"dir", b"dir.c"]),
    ],
)
def test_a_pattern_includes_and_excludes(pattern: bytes, expected: list[bytes]) -> None:
    assert passing({b"include": [pattern]}) == expected
    assert passing({b"exclude": [pattern]}) == [path for path in PATHS if path not in expected]


def test_many_patterns_cost_no_more_than_few() -> None:
    def seconds(patterns: int) -> float:
        names = [b"path:x%d/y" % number for number in range(patterns)]
        passes = parse_path_filter({b"include": names})
        assert passes is not None
        started = time.process_time()
        for number in range(300):
            assert not passes(b"dir/sub/%d" % number)
        return time.process_time() - started

    assert seconds(100_000) < 0.02 + 50 * seconds(1)


def test_what_is_excluded_is_so_although_included() -> None:
    given = {b"include": [b"path:dir", b"path:a"], b"exclude": [b"rootfilesin:dir/sub"]}
    assert passing(given) == [b"a", b"dir", b"dir/a"]


def test_include_is_checked_first_in_the_words_of_the_original() -> None:
    with pytest.raises(CommandError) as caught:
        parse_path_filter({b"exclude": [b"re:x"], b"include": [b"path:a", b"glob:*"]})
    assert caught.value.message == (b"%s pattern must begin with `path:` or `rootfilesin:`; got %s")
    assert caught.value.arguments == (b"include", b"glob:*")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({b"include": b"path:a"}, "include patterns must be defined as an array"),
        ({b"exclude": [1]}, "exclude pattern must be a byte string; got int"),
    ],
)
def test_patterns_of_a_wrong_type_are_refused(given: Any, expected: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_path_filter(given)
    assert str(caught.value) == expected
