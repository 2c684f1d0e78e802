from __future__ import annotations

from typing import Any

import pytest
from mercurial import error, match, revset, revsetlang

from wiredaemon.worker.hgweb_patches import apply_patches
from wiredaemon.worker.search_patterns import PLAIN, is_plain

FUNCTIONS = [b"adds", b"file", b"filelog", b"follow", b"followlines", b"modifies", b"removes"]


@pytest.fixture(autouse=True)
def _patched() -> None:
    apply_patches()


def test_the_kinds_that_are_plain_exist() -> None:
    assert set(match.allpatternkinds) >= PLAIN


@pytest.mark.parametrize(
    "pattern", [b"a", b"a/b.c", b"glob:**.py", b"path:a", b"no-kind:a", b"a..b"]
)
def test_plain_patterns_may_be_used(pattern: bytes) -> None:
    assert is_plain(pattern)


@pytest.mark.parametrize("kind", sorted(set(match.allpatternkinds) - PLAIN))
def test_no_other_kind_is_plain(kind: bytes) -> None:
    assert not is_plain(kind + b":a")


@pytest.mark.parametrize("place", [b"/a", b"../a", b"a/../../b", b"glob:../a"])
def test_places_outside_of_the_repository_are_not_plain(place: bytes) -> None:
    assert not is_plain(place)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_with_patterns_refuses_others_before_it_looks(name: bytes) -> None:
    function: Any = revset.symbols[name]
    # As Mercurial itself parses a search.
    _, _, tree = revsetlang.parse(name + b"(a, k='../a')")
    with pytest.raises(error.ParseError, match="cannot be used in a search"):
        function(None, None, tree)


def test_all_functions_of_searches_that_match_files_are_known() -> None:
    def names_matching(function: Any) -> bool:
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        words = {"matchmod", "_matchfiles", "checkstatus", "_follow", "parsefollowlinespattern"}
        return code is not None and not words.isdisjoint(code.co_names)

    found = {name for name in revset.safesymbols if names_matching(revset.symbols[name])}
    assert found <= set(FUNCTIONS)
    assert found
