from __future__ import annotations

from wiredaemon.net.json.forms import EVENTS, LINES, STREAMS


def test_a_line_is_an_object_with_one_key() -> None:
    form = STREAMS[LINES]
    assert form.result({"error": "a\n\u2028"}, 7) == (
        '{"result": {"error": "a\\n\u2028"}}\n'.encode()
    )
    assert form.note("progress", {"position": 1}) == b'{"progress": {"position": 1}}\n'
    assert form.end("end", {"results": 2}) == b'{"end": {"results": 2}}\n'
    assert form.keep_alive == b""


def test_an_event_has_its_number_and_its_data_on_one_line() -> None:
    form = STREAMS[EVENTS]
    assert form.result("a\r\nid: 9\n\nevent: x", 7) == (
        b'id: 7\ndata: "a\\r\\nid: 9\\n\\nevent: x"\n\n'
    )
    assert form.note("text", "hello") == b'event: text\ndata: "hello"\n\n'
    assert form.end("error", {"status": 422}) == b'id: end\nevent: error\ndata: {"status": 422}\n\n'
    assert form.keep_alive == b":\n\n"
