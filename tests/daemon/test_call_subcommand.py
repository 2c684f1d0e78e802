"""`wiredaemon call`: in this process against a server on loopback, and in its own for its end."""

from __future__ import annotations

import json
import os
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.responding import ensure_deferred, make_command
from support.serving import factory_of, listening, scripted, write_certificate
from support.tools import Told, start, told
from twisted.internet.defer import Deferred

from wiredaemon.commands import Argument, ArgumentType, CommandError, RawBytes, capabilities
from wiredaemon.commands.registry import marked_commands
from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


def typed(context: Any, number: int, names: frozenset[bytes], *, sure: bool) -> object:  # noqa: ARG001
    return {b"number": number, b"names": names, b"sure": sure}


def talk(context: Any) -> Iterator[object]:
    context.write_text("half way\n")
    context.progress("steps", 1, 2)
    yield [b"first"]
    yield {b"second": 2}


def text(context: Any) -> RawBytes:  # noqa: ARG001 not needed
    return RawBytes(b"line\n\xff")


async def echo(context: Any) -> AsyncIterator[bytes]:
    async for piece in context.data:
        yield piece


def refuse(context: Any) -> bytes:  # noqa: ARG001 not needed
    raise CommandError("no such %s:\n%s", ["thing", "\x1b[2J"])


async def forever(context: Any) -> None:  # noqa: ARG001 not needed
    await Deferred()  # until it is stopped


COMMANDS: Final = [
    *marked_commands(capabilities),
    make_command(
        typed,
        arguments={
            "number": Argument(type=ArgumentType.INT, example=1),
            "names": Argument(type=ArgumentType.SET, example=frozenset({b"a"})),
            "sure": Argument(type=ArgumentType.BOOL, example=True),
        },
    ),
    make_command(talk),
    make_command(text),
    make_command(echo, has_data=True),
    make_command(refuse),
    make_command(forever),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


async def called_over(
    kind: str, certificate: Path, *arguments: str, host: str = "localhost"
) -> Told:
    """Call a server of one kind."""
    is_secure = kind.endswith("s")
    factory = factory_of(
        kind,
        COMMANDS,
        framings=["0003", "0006"],
        certificate=certificate if is_secure else None,
    )
    async with listening(factory) as port:
        return await told("call", f"{kind}://{host}:{port}/", *arguments)


@pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
@ensure_deferred
async def test_objects_are_printed_and_text_goes_to_standard_error(
    certificate: Path, kind: str
) -> None:
    trust = ["--ca", str(certificate / "ca.pem")] if kind.endswith("s") else []
    assert await called_over(kind, certificate, "talk", *trust) == (
        0,
        b"[\n  b'first'\n]\n{\n  b'second': 2\n}\n",
        "half way\nsteps: 1/2\n",
        "",
    )


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@pytest.mark.parametrize("dialect", ["0003", "0006"])
@ensure_deferred
async def test_arguments_have_the_types_that_the_server_declares(
    certificate: Path, kind: str, dialect: str
) -> None:
    if (kind, dialect) == ("hgrpc", "0003"):
        kind = "hgrpcs"  # where ALPN chooses
    words = ["--output", "json", "--dialect", dialect, "--insecure"]
    given = ["typed", "number=-3", "names=b,a,a", "sure=true"]
    status, output, _, _ = await called_over(kind, certificate, *given, *words)
    expected = {"names": ["a", "b"], "number": -3, "sure": True}
    assert (status, json.loads(output)) == (0, expected)


@ensure_deferred
async def test_raw_output_is_the_bytes_alone(certificate: Path) -> None:
    outcome = await called_over("http", certificate, "text", "--output", "raw")
    assert outcome == (0, b"line\n\xff", "", "")
    assert await called_over("http", certificate, "talk", "--output", "raw") == (
        1,
        b"",
        "half way\nsteps: 1/2\n",
        "the result is no byte string: --output raw cannot write it",
    )


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_data_comes_from_a_file(certificate: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "data"
    file.write_bytes(os.urandom(1_000_000))
    given = ["echo", "--data", str(file), "--output", "raw"]
    status, output, _, _ = await called_over(kind, certificate, *given)
    assert (status, output == file.read_bytes()) == (0, True)


@pytest.mark.parametrize(
    ("kind", "arguments", "status", "line"),
    [
        ("http", ["refuse"], 1, "no such thing: \\x1b[2J"),
        ("hgrpc", ["refuse"], 1, "no such thing: \\x1b[2J"),
        ("http", ["nosuch"], 1, "HTTP 404 Not Found: unknown wire protocol command: nosuch"),
        ("hgrpc", ["nosuch"], 1, "wire protocol command not available: nosuch"),
        ("http", ["typed"], 1, "missing required arguments: names, number, sure"),
        ("http", ["typed", "number=x"], 2, "argument number must be a whole number, not x"),
        ("hgrpc", ["typed", "number=x"], 2, "argument number must be a whole number, not x"),
        ("http", ["talk", "word"], 2, "word is no argument: key=value, key=hex:00ff, key=@file"),
        (
            "http",
            ["talk", "--dialect", "0002"],
            76,
            "the server does not offer dialect 0002; it offers: 0006, 0003",
        ),
        ("http", ["echo", "--data", "/nonexistent/file"], 1, "/nonexistent/file: No such file"),
        ("http", ["echo", "--data", "/"], 1, "/: Is a directory"),
        (
            "https",
            ["talk"],
            78,
            "; give its authority with --ca FILE, or do without trust with --i",
        ),
        (
            "hgrpcs",
            ["talk"],
            78,
            "; give its authority with --ca FILE, or do without trust with --",
        ),
    ],
)
@ensure_deferred
async def test_a_failure_is_one_line_and_a_status(
    certificate: Path, kind: str, arguments: list[str], status: int, line: str
) -> None:
    outcome = await called_over(kind, certificate, *arguments)
    assert outcome[0] == status
    assert line in outcome[3]
    assert "\n" not in outcome[3]
    assert outcome[1:3] == (b"", "")


@ensure_deferred
async def test_words_may_stand_behind_options_and_json_beside_them(
    certificate: Path, tmp_path: Path
) -> None:
    file = tmp_path / "given.json"
    file.write_text('{"number": 3, "names": ["b", "a"]}', encoding="utf-8")
    words = ["typed", "--output", "json", "--json", str(file), "sure=true"]
    status, output, _, _ = await called_over("http", certificate, *words)
    assert (status, json.loads(output)) == (0, {"number": 3, "names": ["a", "b"], "sure": True})


@pytest.mark.parametrize("kind", ["http", "hgrpc"])
@ensure_deferred
async def test_a_deadline_ends_the_call(certificate: Path, kind: str) -> None:
    outcome = await called_over(kind, certificate, "forever", "--deadline", "0.05")
    assert outcome == (124, b"", "", "the deadline of the call has passed")


class _Screen(StringIO):
    def isatty(self) -> bool:
        return True


@ensure_deferred
async def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    async with listening(factory_of("hgrpc", COMMANDS, framings=["0006"])) as port:
        url = f"hgrpc://localhost:{port}/"
        outcome = await told("call", url, "talk", errors=_Screen())
    bar = ("=" * 14 + ">").ljust(30)
    assert outcome.errors == f"half way\nsteps [{bar}] 1/2\r\x1b[K"


@ensure_deferred
async def test_a_url_that_is_none_is_a_wrong_argument() -> None:
    assert await told("call", "ftp://example.org/", "heads") == (
        2,
        b"",
        "",
        "'ftp://example.org/' must begin with one of http://, https://, hgrpc://, hgrpcs://, unix:",
    )


class _Unread(BytesIO):
    def write(self, data: Any) -> int:  # noqa: ARG002 as of files
        raise BrokenPipeError(32, "Broken pipe")


@ensure_deferred
async def test_output_that_nobody_reads_ends_it_quietly() -> None:
    async with listening(factory_of("hgrpc", COMMANDS, framings=["0006"])) as port:
        outcome = await told("call", f"hgrpc://localhost:{port}/", "talk", output=_Unread())
    assert (outcome.status, outcome.line) == (141, "")


# --- the program ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["http://localhost/"],
        ["--dialect", "0009", "http://localhost/", "heads"],
        ["--timeout", "0", "http://localhost/", "heads"],
        ["--timeout", "nan", "http://localhost/", "heads"],
        ["--timeout", "soon", "http://localhost/", "heads"],
        ["--ca", "a", "--insecure", "https://localhost/", "heads"],
        ["--output", "xml", "http://localhost/", "heads"],
    ],
)
def test_wrong_options_are_an_error_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["call", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: wiredaemon call")


def test_help_explains_urls_and_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["call", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for word in ("hgrpcs://", "KEY:=JSON", "--data FILE", "--insecure", "--timeout SECONDS"):
        assert word in shown


ENDLESS: Final = """
from wiredaemon.commands import Permission, command


@command("endless", permission=Permission.RO)
def endless(context):
    while not context.cancelled:
        yield b"more"


@command("count", permission=Permission.RO, has_data=True)
async def count(context):
    return sum([len(piece) async for piece in context.data])
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("call")
    file = folder / "endless.py"
    file.write_text(ENDLESS, encoding="utf-8")
    given = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ["0006"]},
        listen=["http", "framed"],
        load=[file],
    )
    given = given.replace("enabled = false", "enabled = true")
    given = given.replace("http_v2 = false", "http_v2 = true")
    with Daemon.start(given, folder) as running:
        yield running


def urls(daemon: Daemon) -> list[str]:
    return [
        f"http://127.0.0.1:{daemon.port('http')}/",
        f"hgrpc://127.0.0.1:{daemon.port('framed')}/",
    ]


def test_data_comes_from_standard_input(daemon: Daemon) -> None:
    for url in urls(daemon):
        with start("call", "--data", "-", url, "count") as process:
            output = process.communicate(bytes(1_000_000), timeout=60)
        assert (process.returncode, output) == (0, (b"1000000\n", b""))


def test_a_reader_that_leaves_ends_it_quietly(daemon: Daemon) -> None:
    for url in urls(daemon):
        with start("call", "--output", "raw", url, "endless") as process:
            assert process.stdout is not None
            assert process.stdout.read(10) == b"moremoremo"
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            assert process.wait(60) == 141


def test_a_failure_is_told_on_standard_error(daemon: Daemon) -> None:
    with start("call", urls(daemon)[1], "nosuch") as process:
        output = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == (b"", b"wiredaemon: wire protocol command not available: nosuch\n")


@pytest.mark.parametrize(
    ("reason", "body", "hint"),
    [
        ("read not authorized", "", "; log in with --user NAME, --token-file FILE or --cert FILE"),
        ("Unauthorized", ": wrong user name or password", ""),
    ],
)
@ensure_deferred
async def test_a_login_that_is_missing_is_asked_for_and_a_wrong_one_is_not(
    reason: str, body: str, hint: str
) -> None:
    content = body.removeprefix(": ")
    answer = f"HTTP/1.1 401 {reason}\r\nContent-Length: {len(content)}\r\n\r\n{content}"
    async with listening(scripted(answer.encode())) as port:
        status, _, _, text = await told("call", f"http://127.0.0.1:{port}/", "heads")
    assert (status, text) == (77, f"HTTP 401 {reason}{body}{hint}")
