"""The parser of the seeds' transcripts: what it reads, and that it lets nothing pass unread."""

from __future__ import annotations

import pytest
from seeds.transcript import (
    Exchange,
    Response,
    Restart,
    TranscriptError,
    exchanges,
    load,
    parse,
    unescape,
)

READ_ONLY = "request-to-read-write-command-fails-because-server-is-read-only-by-default"

BASE = "[experimental]\nweb.apiserver = true\n"
APPENDED = BASE + "[experimental]\nweb.api.http-v2 = true\n"
ENABLED = BASE + "web.api.http-v2 = true\n"
REFLECTED = BASE + "web.api.debugreflect = true\nweb.api.http-v2 = true\n"
PUSH = "[web]\npush_ssl = false\nallow-push = *\n"
NO_PUSH = "[web]\npush_ssl = false\n"

PLAIN = r"""  $ send << EOF
  > httprequest GET api/$HTTPV2
  >     user-agent: test
  > EOF
  using raw connection to peer
  s>     GET /api/exp-http-v2-0001 HTTP/1.1\r\n
  s>     Accept-Encoding: identity\r\n
  s>     user-agent: test\r\n
  s>     host: $LOCALIP:$HGPORT\r\n (glob)
  s>     \r\n
  s> makefile('rb', None)
  s>     HTTP/1.1 404 Not Found\r\n
  s>     Server: testing stub value\r\n
  s>     Date: $HTTP_DATE$\r\n
  s>     Content-Length: 3\r\n
  s>     \r\n
  s>     no\n
"""
VARIABLES = {"HTTPV2": "exp-http-v2-0001", "MEDIATYPE": "application/x"}

FRAMED = r"""  $ send << EOF
  > httprequest POST api/$HTTPV2/ro/x
  >     accept: $MEDIATYPE
  >     frame 1 1 stream-begin command-name eos x
  > EOF
  using raw connection to peer
  s>     POST /api/exp-http-v2-0001/ro/x HTTP/1.1\r\n
  s>     Accept-Encoding: identity\r\n
  s>     *\r\n (glob)
  s>     *\r\n (glob)
  s>     host: $LOCALIP:$HGPORT\r\n (glob)
  s>     \r\n
  s>     \x01\x00\x00\x01\x00\x01\x01\x11x
  s> makefile('rb', None)
  s>     HTTP/1.1 200 OK\r\n
  s>     Server: testing stub value\r\n
  s>     Date: $HTTP_DATE$\r\n
  s>     Transfer-Encoding: chunked\r\n
  s>     \r\n
  s>     *\r\n (glob)
  s>     \x03\x00\x00\x01\x00\x02\x01B
  s>     a\n
  s>     b
  s>     \r\n
  s>     0\r\n
  s>     \r\n
"""
UNSIZED = "*\\r\\n (glob)\n  s>     \\x03"
LAST_CHUNK = "  s>     0\\r\\n\n  s>     \\r\\n\n"


def described(dialect: str) -> list[str]:
    """The steps of a seed in short."""
    return [
        f"restart {step.hgrc!r}" if isinstance(step, Restart) else step.slug
        for step in load(dialect)
    ]


def named(dialect: str, slug: str) -> Exchange:
    """The one exchange of a seed whose slug begins so."""
    (found,) = (step for step in exchanges(load(dialect)) if step.slug.startswith(slug))
    return found


def test_the_first_seed_has_19_exchanges_and_5_server_starts() -> None:
    assert described("0003") == [
        f"restart {BASE!r}",
        "http-v2-protocol-not-enabled-by-default",
        f"restart {APPENDED!r}",
        "request-to-unknown-command-yields-404",
        "get-to-read-only-command-yields-a-405",
        "missing-accept-header-results-in-406",
        "bad-accept-header-results-in-406",
        "bad-content-type-header-results-in-415",
        "request-to-read-only-command-works-out-of-the-box",
        "request-to-read-only-command-works-out-of-the-box-through-a-version-2-peer",
        f"{READ_ONLY}-get-to-read-write-request-yields-405",
        "even-for-unknown-commands",
        "ssl-required-by-default",
        f"restart {ENABLED + PUSH!r}",
        "authorized-request-for-valid-read-write-command-works",
        "authorized-request-for-unknown-command-is-rejected",
        "debugreflect-isn-t-enabled-by-default",
        f"restart {REFLECTED + PUSH!r}",
        "command-frames-can-be-reflected-via-debugreflect",
        "multiple-requests-to-regular-command-url-are-not-allowed",
        "multiple-requests-to-multirequest-url-are-allowed",
        "interleaved-requests-to-multirequest-are-processed",
        f"restart {REFLECTED + NO_PUSH!r}",
        "attempting-to-run-a-read-write-command-via-multirequest-on-read-only-url-is-not-allowed",
    ]


def test_the_second_seed_has_18_exchanges_and_5_server_starts() -> None:
    steps = load("0002")

    assert len(exchanges(steps)) == 18
    assert [step.hgrc for step in steps if isinstance(step, Restart)] == [
        BASE,
        ENABLED,
        ENABLED + PUSH,
        REFLECTED + PUSH,
        REFLECTED + NO_PUSH,
    ]


@pytest.mark.parametrize("dialect", ["0002", "0003"])
def test_no_two_exchanges_of_a_seed_have_the_same_slug(dialect: str) -> None:
    slugs = [exchange.slug for exchange in exchanges(load(dialect))]

    assert len(set(slugs)) == len(slugs)


def test_every_exchange_has_the_hgrc_of_the_last_start_before_it() -> None:
    assert named("0003", "http-v2-protocol-not-enabled").hgrc == BASE
    assert named("0003", "ssl-required").hgrc == APPENDED
    assert named("0003", "interleaved").hgrc == REFLECTED + PUSH
    assert named("0003", "attempting").hgrc == REFLECTED + NO_PUSH


def test_a_header_hidden_by_a_wildcard_comes_from_the_script() -> None:
    assert named("0003", "multiple-requests-to-multirequest").request("127.0.0.1:8000") == (
        b"POST /api/exp-http-v2-0001/ro/multirequest HTTP/1.1\r\n"
        b"Accept-Encoding: identity\r\n"
        b"accept: application/mercurial-exp-framing-0003\r\n"
        b"content-type: application/mercurial-exp-framing-0003\r\n"
        b"user-agent: test\r\n"
        b"content-length: 58\r\n"
        b"host: 127.0.0.1:8000\r\n"
        b"\r\n"
        b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly"
        b"\x15\x00\x00\x03\x00\x01\x00\x11\xa1DnameNcustomreadonly"
    )


def test_a_hidden_content_length_is_that_of_the_body() -> None:
    assert named("0002", "request-to-read-only-command").request("127.0.0.1:8000") == (
        b"POST /api/exp-http-v2-0001/ro/customreadonly HTTP/1.1\r\n"
        b"Accept-Encoding: identity\r\n"
        b"accept: application/mercurial-exp-framing-0002\r\n"
        b"content-type: application/mercurial-exp-framing-0002\r\n"
        b"user-agent: test\r\n"
        b"content-length: 22\r\n"
        b"host: 127.0.0.1:8000\r\n"
        b"\r\n"
        b"\x0e\x00\x00\x01\x00\x01\x01\x11customreadonly"
    )


def test_a_request_through_the_version_2_peer_keeps_the_headers_of_the_peer() -> None:
    exchange = named("0003", "request-to-read-only-command-works-out-of-the-box-through")

    assert exchange.request("127.0.0.1:8000") == (
        b"POST /api/exp-http-v2-0001/ro/customreadonly HTTP/1.1\r\n"
        b"Accept-Encoding: identity\r\n"
        b"accept: application/mercurial-exp-framing-0003\r\n"
        b"content-type: application/mercurial-exp-framing-0003\r\n"
        b"content-length: 29\r\n"
        b"host: 127.0.0.1:8000\r\n"
        b"user-agent: Mercurial debugwireproto\r\n"
        b"\r\n"
        b"\x15\x00\x00\x01\x00\x01\x01\x11\xa1DnameNcustomreadonly"
    )


def test_a_frame_shown_as_header_and_payload_is_one_chunk() -> None:
    exchange = named("0003", "request-to-read-only-command-works-out-of-the-box-through")

    assert exchange.response.chunks == (
        b"\x1d\x00\x00\x01\x00\x02\x01Bcustomreadonly bytes response",
    )


def test_a_frame_with_a_line_feed_in_its_header_is_joined_from_two_lines() -> None:
    body = named("0002", "interleaved").recorded_request.partition(b"\r\n\r\n")[2]

    assert len(body) == 93
    assert body.endswith(b'\x17\x00\x00\x01\x00\x01\x00"\t\x00\n\x00namespacenamespaces')


def test_a_chunk_shown_on_several_lines_keeps_its_line_feeds_and_its_last_tab() -> None:
    assert named("0002", "interleaved").response == Response(
        status_line=b"HTTP/1.1 200 OK",
        headers=(
            (b"Content-Type", b"application/mercurial-exp-framing-0002"),
            (b"Transfer-Encoding", b"chunked"),
        ),
        chunks=(
            b"\x00\x00\x00\x03\x00\x02\x01B",
            b"\x1e\x00\x00\x01\x00\x02\x01Bbookmarks\t\nnamespaces\t\nphases\t",
        ),
        body=b"\x00\x00\x00\x03\x00\x02\x01B"
        b"\x1e\x00\x00\x01\x00\x02\x01Bbookmarks\t\nnamespaces\t\nphases\t",
    )


def test_chunks_go_on_the_wire_with_their_sizes_in_lower_case_hex() -> None:
    assert named("0003", "interleaved").response.wire == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: application/mercurial-exp-framing-0003\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"\r\n"
        b"28\r\n"
        b"\x20\x00\x00\x03\x00\x02\x01F\xa3Fphases@Ibookmarks@Jnamespaces@\r\n"
        b"9\r\n"
        b"\x01\x00\x00\x01\x00\x02\x00F\xa0\r\n"
        b"0\r\n"
        b"\r\n"
    )


def test_a_body_of_fixed_length_is_joined_from_its_lines() -> None:
    assert named("0003", "command-frames").response.wire == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 205\r\n"
        b"\r\n"
        b"received: 1 1 1 \xa2Dargs\xa2CfooDval1Dbar1CvalDnameHcommand1\n"
        b'["runcommand", {"args": {"bar1": "val", "foo": "val1"}, "command": "command1", '
        b'"data": null, "requestid": 1}]\n'
        b"received: <no frame>\n"
        b'{"action": "noop"}'
    )


@pytest.mark.parametrize(
    ("shown", "data"),
    [
        pytest.param(r"\'\x00\t\n\r\\", b"'\x00\t\n\r\\", id="first-seed"),
        pytest.param("\"\t\\x00'", b"\"\t\x00'", id="second-seed"),
        pytest.param(r"\xa1Dname\xff", b"\xa1Dname\xff", id="high-bytes"),
        pytest.param(r"\\x41", b"\\x41", id="an-escaped-backslash-escapes-nothing-else"),
    ],
)
def test_both_ways_of_escaping_are_undone(shown: str, data: bytes) -> None:
    assert unescape(shown) == data


@pytest.mark.parametrize("shown", [r"\q", r"\x4", r"\xZZ", "end\\"])
def test_an_escape_that_the_tool_does_not_write_is_refused(shown: str) -> None:
    with pytest.raises(ValueError, match="unknown escape"):
        unescape(shown)


def test_an_exchange_without_a_sentence_of_its_own_repeats_the_last_with_its_line() -> None:
    steps = exchanges(parse(f"It says no\n\n{PLAIN}\n{PLAIN}", VARIABLES))

    assert [step.slug for step in steps] == ["it-says-no", "it-says-no-line-21"]


def test_a_chunk_whose_size_is_a_wildcard_has_the_size_of_its_data() -> None:
    (exchange,) = exchanges(parse(FRAMED, VARIABLES))

    assert exchange.response.wire.endswith(
        b"\r\n\r\nb\r\n\x03\x00\x00\x01\x00\x02\x01Ba\nb\r\n0\r\n\r\n"
    )
    assert b"accept: application/x\r\ncontent-length: 9\r\nhost: " in exchange.recorded_request


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        pytest.param("  $ rm -rf server", "", "", "line 1: unknown command", id="unknown-command"),
        pytest.param("  stray", "", "", "line 1: output of no command", id="stray-output"),
        pytest.param("  $ cat hg.pid > $DAEMON_PIDS\n  7", "", "", "line 2: ", id="odd-output"),
        pytest.param(PLAIN, "  > EOF\n", "", "line 1: no EOF", id="script-without-end"),
        pytest.param(PLAIN, "using raw", "using cooked", "line 5: not a line", id="odd-line"),
        pytest.param(PLAIN, "makefile", "makedile", "line 11: not a line", id="odd-call"),
        pytest.param(
            PLAIN, PLAIN[PLAIN.index("  s> makefile") :], "", "line 1: no resp", id="no-response"
        ),
        pytest.param(PLAIN, "no\\n", "no", "line 12: a body of 2 bytes", id="short-body"),
        pytest.param(
            PLAIN, "  >     user-agent: test\n", "", "line 5: the script", id="other-headers"
        ),
        pytest.param(PLAIN, "test\\r", "rest\\r", "line 8: the script would", id="other-value"),
        pytest.param(PLAIN, "$HTTPV2", "other", "line 6: the script would", id="other-path"),
        pytest.param(PLAIN, "  s>     Server", "  s>     server", "line 12: ", id="unstamped"),
        pytest.param(PLAIN, "no\\n", "\\?", "line 17: unknown escape", id="unknown-escape"),
        pytest.param(PLAIN, "    user-agent", "user agent", "unknown argument", id="odd-script"),
        pytest.param(FRAMED, LAST_CHUNK, "", "no last", id="no-end"),
        pytest.param(
            FRAMED,
            UNSIZED,
            UNSIZED.replace("*\\r\\n (glob)", "a\\r\\n"),
            "line 20: a chunk of 11",
            id="long-chunk",
        ),
        pytest.param(
            FRAMED,
            UNSIZED,
            UNSIZED.replace("*\\r\\n (glob)", "0B\\r\\n"),
            "line 20: not the size",
            id="padded-size",
        ),
        pytest.param(
            FRAMED,
            LAST_CHUNK,
            LAST_CHUNK + "  s>     x\n",
            "line 27: data after",
            id="more",
        ),
    ],
)
def test_what_does_not_read_as_a_transcript_is_refused(
    text: str, old: str, new: str, message: str
) -> None:
    with pytest.raises(TranscriptError, match=message):
        parse(text.replace(old, new, 1) if old else text, VARIABLES)
