"""Logging in to real servers over every transport: by password, by token, by certificate."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
import trustme
from support.logins import Users
from support.responding import ensure_deferred, make_command
from support.serving import factory_of, listening, write_certificate

from wiredaemon.accounts.login import TooManyFailuresError
from wiredaemon.client import (
    ClientError,
    ClientOptions,
    ConnectError,
    HttpAnswerError,
    LoginRefusedError,
    Password,
    Token,
    UrlError,
    connect,
)
from wiredaemon.client.address import parse_url
from wiredaemon.client.credentials import check_secrecy, from_netrc
from wiredaemon.commands import TextForm, capabilities
from wiredaemon.commands.registry import marked_commands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KINDS: Final = pytest.mark.parametrize("kind", ["http", "https", "hgrpc", "hgrpcs"])
SECURE: Final = pytest.mark.parametrize("kind", ["https", "hgrpcs"])
READER: Final = b"wd_0000000b_reader"
# On this machine HTTP accepts a password without TLS, and so does the client.
WRONG: Final = "wrong user name or password"


def who(context: Any) -> bytes:
    peer = context.peer
    parts = [peer.user or "nobody", *sorted(peer.groups), *(["ro"] if peer.read_only else [])]
    return " ".join(parts).encode()


COMMANDS: Final = [
    *marked_commands(capabilities),
    make_command(who, text=TextForm(result=lambda value: value)),
]


@pytest.fixture(scope="module")
def clients() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clients: trustme.CA) -> Path:
    made = write_certificate(tmp_path_factory.mktemp("tls"), "localhost")
    clients.cert_pem.write_to_path(made / "clients.pem")
    shown = clients.issue_cert("cert@example.org", common_name="mia")
    shown.private_key_and_cert_chain_pem.write_to_path(made / "both.pem")
    shown.private_key_pem.write_to_path(made / "own-key.pem")
    (made / "own.pem").write_bytes(b"".join(part.bytes() for part in shown.cert_chain_pems))
    other = trustme.CA().issue_cert("cert@example.org", common_name="mia")
    other.private_key_and_cert_chain_pem.write_to_path(made / "other.pem")
    return made


@asynccontextmanager
async def serving(kind: str, folder: Path, users: Users | None) -> AsyncIterator[int]:
    secure = kind in {"https", "hgrpcs"}
    factory = factory_of(
        kind,
        COMMANDS,
        certificate=folder if secure else None,
        users=users,
        client_ca=folder / "clients.pem" if secure else None,
    )
    async with listening(factory) as port:
        yield port


async def asked(
    kind: str, folder: Path, login: str = "", *, users: Users | None = None, **options: Any
) -> object:
    """Return who the server says that we are."""
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    async with serving(kind, folder, users or Users()) as port:
        url = f"{kind}://{login}{'@' if login else ''}localhost:{port}/a/b"
        chosen = ClientOptions(authorities=folder / "ca.pem", connect_seconds=20, **options)
        connection = await connect(reactor, url, chosen)
        try:
            return await connection.call(b"who").result()
        finally:
            await connection.close()


@KINDS
@ensure_deferred
async def test_a_password_logs_in(kind: str, folder: Path) -> None:
    assert await asked(kind, folder, credentials=Password("mia", b"aim")) == b"mia devs"
    assert await asked(kind, folder, "mia:aim") == b"mia devs"
    # What is given besides counts before the URL's.
    assert await asked(kind, folder, "mia:aim", credentials=Password("ann", b"nna")) == b"ann"


@KINDS
@ensure_deferred
async def test_a_token_logs_in(kind: str, folder: Path) -> None:
    assert await asked(kind, folder, credentials=Token(READER)) == b"ann ro"
    assert await asked(kind, folder, f"ann:{READER.decode()}") == b"ann ro"


@KINDS
@ensure_deferred
async def test_without_a_login_nobody_is_logged_in(kind: str, folder: Path) -> None:
    assert await asked(kind, folder) == b"nobody"


@SECURE
@pytest.mark.parametrize("files", [("both.pem", None), ("own.pem", "own-key.pem")])
@pytest.mark.parametrize("trusts_anybody", [False, True])
@ensure_deferred
async def test_a_certificate_logs_in(
    kind: str, folder: Path, files: tuple[str, str | None], *, trusts_anybody: bool
) -> None:
    certificate, key = files
    found = await asked(
        kind,
        folder,
        certificate=folder / certificate,
        private_key=key and folder / key,
        trusts_anybody=trusts_anybody,
    )
    assert found == b"mia devs"


@SECURE
@ensure_deferred
async def test_a_certificate_of_somebody_else_is_refused(kind: str, folder: Path) -> None:
    with pytest.raises(ClientError, match=r"unknown ca|closed|lost"):
        await asked(kind, folder, certificate=folder / "other.pem")


@SECURE
@pytest.mark.parametrize(
    ("certificate", "key"), [("ca.pem", None), ("missing.pem", None), ("own.pem", "key.pem")]
)
@ensure_deferred
async def test_a_certificate_that_cannot_be_used_is_named(
    kind: str, folder: Path, certificate: str, key: str | None
) -> None:
    with pytest.raises(ConnectError, match=certificate):
        await asked(
            kind, folder, certificate=folder / certificate, private_key=key and folder / key
        )


@KINDS
@ensure_deferred
async def test_a_wrong_password_is_said_to_be_one(kind: str, folder: Path) -> None:
    expected = HttpAnswerError if kind.startswith("http") else LoginRefusedError
    with pytest.raises(expected, match=WRONG):
        await asked(kind, folder, credentials=Password("ann", b"no"))


@KINDS
@ensure_deferred
async def test_who_must_wait_is_told_so(kind: str, folder: Path) -> None:
    users = Users()
    users.refusal = TooManyFailuresError("too many failed logins; try again in 9 seconds", 9.0)
    with pytest.raises(ClientError, match="try again in 9 seconds"):
        await asked(kind, folder, users=users, credentials=Password("ann", b"nna"))


@ensure_deferred
async def test_a_raw_server_without_users_says_so(folder: Path) -> None:
    users = Users(passwords=False, tokens=False)
    with pytest.raises(LoginRefusedError, match=r"refuses the login: .*not available: login"):
        await asked("hgrpcs", folder, users=users, credentials=Password("ann", b"nna"))


@KINDS
@ensure_deferred
async def test_a_user_of_the_url_without_a_password_is_asked_for_it(
    kind: str, folder: Path
) -> None:
    with pytest.raises(UrlError, match="there is no password for the user 'ann'"):
        await asked(kind, folder, "ann")


@pytest.mark.parametrize(
    "url", ["http://example.org/", "hgrpc://203.0.113.5/", "http://[fd00::1]/"]
)
@ensure_deferred
async def test_no_password_is_sent_where_others_could_read_it(url: str) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    options = ClientOptions(credentials=Token(READER))
    with pytest.raises(UrlError, match="unencrypted: use https:// or hgrpcs://"):
        await connect(reactor, url, options)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/",
        "hgrpcs://h/",
        "http://localhost/",
        "http://127.0.0.2/",
        "http://[::1]/",
    ],
)
def test_a_password_is_sent_where_nobody_can_read_it(url: str) -> None:
    check_secrecy(parse_url(url))


def test_what_is_shown_of_credentials_is_no_secret() -> None:
    assert repr(Password("ann", b"secret")) == "Password(user='ann')"
    assert repr(Token(b"secret")) == "Token()"
    assert "secret" not in repr(ClientOptions(credentials=Token(b"secret")))


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("dialect", "0006", r"one of DIALECTS\['0002'\] to DIALECTS\['0006'\], or None, not str"),
        ("content_encodings", "zlib", "a list of names, not str"),
        ("data_encodings", b"zlib", "a list of names, not bytes"),
        ("private_key", b"-----BEGIN", "a path, its text or None, not bytes"),
        ("netrc", False, "a path, its text, True or None, not False"),
        ("credentials", "secret", "a Password or a Token of texts or bytes, or None, not str"),
        ("credentials", Token(5), "a Password or a Token of texts or bytes, .*, not Token"),  # type: ignore[arg-type]  # wrong on purpose
        ("connect_seconds", float("nan"), "a number of seconds above 0, not nan"),
        ("keep_alive_seconds", 0, "a number of seconds above 0, or None, not 0"),
        ("most_connections", 0, "a whole number from 1 on, not 0"),
        ("retries", True, "a whole number from 0 on, not True"),
        ("limits", {}, "Limits, not dict"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_at_once(name: str, value: Any, text: str) -> None:
    with pytest.raises(ClientError, match=f"^the option {name} must be {text}$"):
        ClientOptions(**{name: value})


def test_a_secret_may_be_text() -> None:
    assert Password("ann", "gehéim").header() == Password("ann", "gehéim".encode()).header()
    assert Password("ann", "secret").arguments() == {b"name": b"ann", b"password": b"secret"}
    assert Token("secret").header() == Token(b"secret").header()
    assert Token("secret").arguments() == {b"token": b"secret"}


NETRC: Final = """
machine 127.0.0.1 login ann password secret
default login somebody password else
"""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1/", Password("ann", b"secret")),
        ("http://ann@127.0.0.1/", Password("ann", b"secret")),
        ("http://bob@127.0.0.1/", None),
        ("https://example.org/", Password("somebody", b"else")),
    ],
)
def test_a_netrc_file_has_logins(tmp_path: Path, url: str, expected: Password | None) -> None:
    file = tmp_path / "netrc"
    file.write_text(NETRC)
    assert from_netrc(file, parse_url(url)) == from_netrc(str(file), parse_url(url)) == expected


def test_a_netrc_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    with pytest.raises(UrlError, match="there is no file"):
        from_netrc(file, parse_url("http://127.0.0.1/"))
    file.write_text("password without a machine")
    with pytest.raises(UrlError, match="the netrc file cannot be used"):
        from_netrc(file, parse_url("http://127.0.0.1/"))
