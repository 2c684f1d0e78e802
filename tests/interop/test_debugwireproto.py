"""`wiredaemon debugwireproto` beside the tool that it is like, `hg debugwireproto` of 6.0.3."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from support.environment import ROOT, client_environment
from support.hg import DEADLINE, hg_serve
from support.loaded_hg import loaded_hg
from support.repositories import make_repository, run_hg
from support.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hg import Hg

MEDIA: Final = "application/mercurial-exp-framing-0006"
POST: Final = f"    user-agent: test\n    accept: {MEDIA}\n    content-type: {MEDIA}\n"
NODES: Final = [b"%020d" % number for number in range(60)]

RAW: Final = "--peer raw"
HTTP2: Final = "--peer http2"
SCRIPTS: Final = {
    "indexes": (RAW, "httprequest GET api\n    user-agent: test\nhttprequest GET api/x\n"),
    "upgrade": (
        RAW,
        (
            "httprequest GET ?cmd=capabilities\n    user-agent: test\n"
            "    x-hgupgrade-1: exp-http-v2-0003\n    x-hgproto-1: cbor\n"
        ),
    ),
    "headers": (
        RAW,
        "httprequest GET api\n    A: b\n    Z: y\n    a: c\n    x_y: z\n    host: h\n",
    ),
    "frames": (
        RAW,
        (
            f"httprequest POST api/exp-http-v2-0003/ro/known\n{POST}"
            "    frame 1 1 stream-begin 1 new cbor:{b'name': b'known', b'args': {b'nodes': []}}\n"
            f"httprequest POST api/exp-http-v2-0003/ro/multirequest\n{POST}"
            "    frame 1 1 stream-begin command-request new|4 \\xa1Dname\n"
            "    frame 1 1 0 command-request continuation Eheads\n"
            "httprequest POST api/exp-http-v2-0003/ro/heads\n"
            "    frame 1 1 stream-begin command-request new a\\x09\\nb\\'\\\\\n"
        ),
    ),
    "unknown": (RAW, "httprequest GET api\nfoo\n"),
    "indented": (RAW, "    httprequest GET api\n"),
    "no path": (RAW, "httprequest GET\n"),
    "no argument": (RAW, "httprequest GET api\n    foo:bar\n"),
    "no peer": (RAW, "command heads\n"),
    **{
        action: (RAW, f"{action}\n")
        for action in ("raw", "raw+", "flush", "readavailable", "readline", "ereadline", "read 5")
    },
    "eread": (HTTP2, "eread 5\n"),
    "version 2": (
        HTTP2,
        (
            "command heads\ncommand branchmap\ncommand capabilities\ncommand lookup\n    key tip\n"
            "command heads\n    publiconly eval:True\ncommand listkeys\n    namespace bookmarks\n"
            f"command known\n    nodes eval:{NODES[:2]}\ncommand filesdata\n    revisions eval:[]\n"
            "httprequest GET api\ncommand pushkey\n    namespace bookmarks\n    key a\n    old \n"
            "    new \n"
        ),
    ),
    "quiet handshake": ("--nologhandshake --peer http2", "# nothing\n\ncommand heads\n"),
    "server error": (HTTP2, "command lookup\n    key nosuch\n"),
    "command error": (HTTP2, "command lookup\n"),
    "version 1": (
        "",
        (
            "command heads\ncommand branchmap\ncommand capabilities\ncommand lookup\n    key tip\n"
            "command listkeys\n    namespace bookmarks\n"
            f"command known\n    nodes eval:{NODES}\ncommand pushkey\n    namespace bookmarks\n"
            "    key a\n    old \n    new \n"
        ),
    ),
    "version 1 error": ("", "command lookup\n    key nosuch\n"),
    "batch": (
        "",
        "batchbegin\ncommand listkeys\n    namespace a:b,c;d=e f\ncommand heads\nbatchsubmit\n",
    ),
    "nested batch": ("", "batchbegin\nbatchbegin\n"),
    "open batch": ("", "batchbegin\ncommand heads\n"),
}
"""Options and scripts."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_repository(tmp_path_factory.mktemp("debugwireproto") / "server")
    (made / "a").write_text("a\n", "utf-8")
    run_hg("commit", "-A", "-m", "a", "-u", "test", "-d", "0 0", folder=made)
    run_hg("bookmark", "k", folder=made)
    return made


@pytest.fixture(scope="module")
def hg_url(hg6: Hg, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `hg serve`."""
    with hg_serve(hg6, {"server": repository}, tmp_path_factory.mktemp("serve")) as url:
        yield f"{url}/server/"


@pytest.fixture(scope="module")
def daemon_url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the daemon."""
    with Served.start({"server": repository}, tmp_path_factory.mktemp("daemon")) as served:
        yield f"http://127.0.0.1:{served.daemon.port()}/server/"


def printed(hg: Hg | None, options: str, script: str, url: str) -> tuple[str, ...]:
    """Return the exit status, and all that is printed but the moment of the response.

    Args:
        hg: Whose tool it is; none for ours.
        options: Of the tool.
        script: What it is to send.
        url: The server.
    """
    arguments = ["debugwireproto", *options.split(), url]
    if hg is None:
        finished = subprocess.run(
            [sys.executable, "-m", "wiredaemon", *arguments],
            input=script.encode(),
            env=client_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
        )
        code, output = finished.returncode, finished.stdout
    else:
        code, output = loaded_hg(hg.command).run(
            arguments, folder=ROOT, deadline=DEADLINE, given=script.encode()
        )
    text = re.sub(r"Date: [^\\]* GMT", "Date: now", output.decode("utf-8", "backslashreplace"))
    return (f"exit status {code}", *text.split("\n"))


@pytest.mark.parametrize("detail", ["--verbose", "--debug"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_prints_what_mercurials_tool_prints(
    hg6: Hg, hg_url: str, name: str, detail: str
) -> None:
    options, script = SCRIPTS[name]
    ours = printed(None, f"{detail} {options}", script, hg_url)
    theirs = printed(hg6, f"{detail} {options}", script, hg_url)
    assert ours == theirs
    assert ours[0] == "exit status 0" or ours[-2].startswith("abort: ")


@pytest.mark.parametrize("name", ["indexes", "frames", "server error", "version 1"])
def test_both_tools_print_the_same_of_the_daemon(hg6: Hg, daemon_url: str, name: str) -> None:
    options, script = SCRIPTS[name]
    ours = printed(None, f"--debug {options}", script, daemon_url)
    assert ours == printed(hg6, f"--debug {options}", script, daemon_url)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("command nosuch\n", "wire protocol command nosuch is not available"),
        (
            "command heads\n    foo bar\n",
            "wire protocol command heads does not accept argument: foo",
        ),
    ],
)
def test_internal_errors_are_the_same_words_without_a_traceback(
    hg6: Hg, hg_url: str, script: str, text: str
) -> None:
    ours = printed(None, HTTP2, script, hg_url)
    theirs = printed(hg6, HTTP2, script, hg_url)
    assert ours[0] == theirs[0] == "exit status 1"
    assert ours[-2] == f"abort: {text}"
    assert theirs[-2].endswith(f": {text}")
