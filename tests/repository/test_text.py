from __future__ import annotations

import pytest

from wiredaemon.repository import text

ONE = b"\x01" * 20
TWO = b"\xab" * 20


def test_heads_are_hex_with_spaces_and_a_line_end() -> None:
    assert text.encode_heads([ONE, TWO]) == b"01" * 20 + b" " + b"ab" * 20 + b"\n"


def test_the_heads_of_an_empty_repository_are_forty_zeros() -> None:
    assert text.encode_heads([bytes(20)]) == b"0" * 40 + b"\n"


def test_branches_are_quoted_and_joined_without_a_final_line_end() -> None:
    branches = {"café au lait/x".encode(): [ONE, TWO], b"default": [TWO]}
    assert text.encode_branchmap(branches) == (
        b"caf%C3%A9%20au%20lait/x " + b"01" * 20 + b" " + b"ab" * 20 + b"\ndefault " + b"ab" * 20
    )


def test_no_branches_are_no_text() -> None:
    assert text.encode_branchmap({}) == b""


def test_nodes_are_parsed_from_hex_of_any_case() -> None:
    assert text.parse_nodes(b"01" * 20 + b" " + b"AB" * 20) == [ONE, TWO]


def test_no_text_is_no_node() -> None:
    assert text.parse_nodes(b"") == []


@pytest.mark.parametrize(
    ("malformed", "number"),
    [
        (b"zz", 1),
        (b"01" * 19, 1),
        (b"01" * 20 + b"  " + b"01" * 20, 2),
        (b"01" * 20 + b"\n", 1),
        (b"01" * 20 + b" ", 2),
        (b" " + b"01" * 19 + b"0", 1),
        (b"\xff" * 40, 1),
    ],
)
def test_a_malformed_node_is_refused_by_its_number(malformed: bytes, number: int) -> None:
    with pytest.raises(ValueError, match=f"nodes: entry {number} is not a node"):
        text.parse_nodes(malformed)


def test_keys_are_sorted_and_separated_by_tabs_as_in_the_second_seed() -> None:
    keys = {b"phases": b"", b"bookmarks": b"", b"namespaces": b""}
    assert text.encode_listkeys(keys) == b"bookmarks\t\nnamespaces\t\nphases\t"
    assert len(text.encode_listkeys(keys)) == 30


@pytest.mark.parametrize("keys", [{b"a\tb": b""}, {b"a\nb": b""}, {b"a": b"\t"}, {b"a": b"\n"}])
def test_a_key_that_would_break_the_lines_is_refused(keys: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="tab or line end"):
        text.encode_listkeys(keys)


def test_a_lookup_gives_one_and_hex() -> None:
    assert text.encode_lookup(TWO) == b"1 " + b"ab" * 20 + b"\n"


def test_a_failed_lookup_gives_nought_and_the_reason() -> None:
    assert text.encode_lookup_failure(b"unknown revision 'foo'") == b"0 unknown revision 'foo'\n"


def test_the_reason_of_a_failed_lookup_is_one_line() -> None:
    assert text.encode_lookup_failure(b"one\ntwo\n") == b"0 one two\n"


@pytest.mark.parametrize(
    ("moved", "output", "expected"),
    [
        (True, b"", b"1\n"),
        (False, b"", b"0\n"),
        (True, b"thanks\nfor pushing\n", b"1\nthanks\nfor pushing\n"),
    ],
)
def test_a_pushed_key_gives_its_result_and_the_output(
    *, moved: bool, output: bytes, expected: bytes
) -> None:
    assert text.encode_pushkey(moved=moved, output=output) == expected


def test_capabilities_of_version_1_only_are_left_out() -> None:
    version_1 = (
        b"batch branchmap bundle2=HG20%0Abookmarks changegroupsubset compression=zstd,zlib "
        b"getbundle httpheader=1024 httpmediatype=0.1rx,0.1tx,0.2tx httppostargs known lookup "
        b"pushkey streamreqs=generaldelta,revlogv1 unbundle=HG10GZ,HG10BZ,HG10UN unbundlehash"
    )
    assert text.reduce_capabilities(version_1) == (
        b"branchmap bundle2=HG20%0Abookmarks getbundle known lookup pushkey "
        b"streamreqs=generaldelta,revlogv1 unbundle=HG10GZ,HG10BZ,HG10UN unbundlehash"
    )


def test_hello_names_the_capabilities_on_one_line() -> None:
    assert text.encode_hello(b"lookup branchmap") == b"capabilities: lookup branchmap\n"
