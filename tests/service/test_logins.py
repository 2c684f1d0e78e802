"""Logins that functions of the program decide, over each transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trustme
from support.embedding import calling, mounted, reactor
from support.responding import ensure_deferred, failures
from support.serving import write_certificate
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from wiredaemon import Certificate, Limits, Login, Permission, Service
from wiredaemon.client import ClientError, HttpAnswerError, Password, Token
from wiredaemon.net.repeated_lines import MOST_ALIKE

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = "tcp:0:interface=127.0.0.1"


async def authenticate(user: str, password: bytes) -> Any:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    anywhere: Any = reactor
    await deferLater(anywhere, 0)
    if user == "broken":
        raise RuntimeError("the program's fault")
    if user == "odd":
        return 5
    if user == "grouped":
        groups: Any = [1, None]
        return Login(user=user, groups=groups)
    right = password == b"right"
    return Login(user=user, groups=frozenset({"staff"})) if right else None


def authenticate_token(secret: bytes) -> Any:
    return Login(user="robot", read_only=True) if secret == b"token" else None


def service_of(**options: Any) -> Service:
    options = {"authenticate": authenticate, "authenticate_token": authenticate_token, **options}
    service = Service(**options)

    @service.command("who", permission=Permission.RO)
    def who(context: Any) -> list[Any]:
        return [context.peer.user, *sorted(context.peer.groups), context.peer.read_only]

    return service


async def places(service: Service, site: str) -> list[str]:
    """The URLs of a service on each transport."""
    raw, web = await service.listen(LOOPBACK), await service.listen_http(LOOPBACK)
    return [raw.url, web.url, site]


@ensure_deferred
async def test_passwords_and_tokens_log_in_on_every_transport() -> None:
    service = service_of()
    async with mounted(service) as site:
        for url in await places(service, site):
            for credentials, expected in (
                (Password("ann", b"right"), [b"ann", b"staff", False]),
                (Token(b"token"), [b"robot", True]),
            ):
                async with calling(url, credentials=credentials) as connection:
                    assert await connection.call(b"who").result() == expected


@ensure_deferred
async def test_certificates_of_clients_name_users(tmp_path: Path) -> None:
    folder = write_certificate(tmp_path, "127.0.0.1")
    clients = trustme.CA()
    clients.cert_pem.write_to_path(folder / "clients.pem")
    shown = clients.issue_cert("ann@example.org", common_name="ann")
    shown.private_key_and_cert_chain_pem.write_to_path(folder / "ann.pem")
    own = Certificate(
        certificate=folder / "cert.pem",
        private_key=folder / "key.pem",
        client_ca=folder / "clients.pem",
    )
    service = service_of()
    for listen in (service.listen, service.listen_http):
        listener = await listen(LOOPBACK, certificate=own)
        trust = {"authorities": folder / "ca.pem", "certificate": folder / "ann.pem"}
        async with calling(listener.url, **trust) as connection:
            assert await connection.call(b"who").result() == [b"ann", False]
    await service.stop()


@ensure_deferred
async def test_wrong_ones_are_refused_on_every_transport() -> None:
    service = service_of(limits=Limits(login_failures=100))
    async with mounted(service) as site:
        for url in await places(service, site):
            for credentials in (Password("ann", b"wrong"), Token(b"wrong")):
                with pytest.raises(ClientError, match="wrong user name or password"):
                    async with calling(url, credentials=credentials) as connection:
                        await connection.call(b"who").result()


@ensure_deferred
async def test_who_does_not_log_in_is_asked_to() -> None:
    service = service_of()
    async with mounted(service) as site:
        with pytest.raises(HttpAnswerError) as caught:
            async with calling(site):
                pass
        assert caught.value.status == 401


@ensure_deferred
async def test_failed_logins_are_limited_whatever_the_transport() -> None:
    service = service_of(limits=Limits(login_failures=3))
    async with mounted(service) as site:
        urls = await places(service, site)
        for url in urls:
            with pytest.raises(ClientError, match="wrong user name or password"):
                async with calling(url, credentials=Password("ann", b"wrong")) as connection:
                    await connection.call(b"who").result()
        for url in urls:
            for credentials in (Password("ann", b"right"), Token(b"token")):
                with pytest.raises(ClientError, match="too many failed logins"):
                    async with calling(url, credentials=credentials) as connection:
                        await connection.call(b"who").result()


@pytest.mark.parametrize("user", ["broken", "odd", "grouped"])
@ensure_deferred
async def test_a_fault_of_the_program_is_logged_once_and_answered(user: str) -> None:
    service = service_of()
    async with mounted(service) as site:
        for url in await places(service, site):
            with capturedLogs() as events, pytest.raises(ClientError) as caught:
                async with calling(url, credentials=Password(user, b"right")) as connection:
                    await connection.call(b"who").result()
            assert "the login could not be checked" in str(caught.value)
            if url.startswith("http"):
                assert getattr(caught.value, "status", None) == 500
            assert len(failures(events)) == 1


@ensure_deferred
async def test_faults_that_repeat_are_counted_and_leave_no_timer() -> None:
    others = reactor().getDelayedCalls()  # of other tests in this process
    service = service_of()
    listener = await service.listen(LOOPBACK)
    with capturedLogs() as events:
        for _ in range(MOST_ALIKE + 2):
            with pytest.raises(ClientError, match="the login could not be checked"):
                async with calling(listener.url, credentials=Password("odd", b"")):
                    pass
        await service.stop()
    *logged, repeated = failures(events)
    assert ["log_failure" in each for each in logged] == [True] * MOST_ALIKE
    assert "repeated 2 times: a login could not be checked" in repeated["line"]
    left = [each for each in reactor().getDelayedCalls() if each not in others]
    assert not [each for each in left if "_report" in str(each)]


@ensure_deferred
async def test_a_right_password_is_not_asked_for_at_each_request() -> None:
    asked: list[str] = []

    def remember(user: str, password: bytes) -> str:  # noqa: ARG001 any will do
        asked.append(user)
        return user

    service = Service(authenticate=remember)
    service.command("who", permission=Permission.RO)(lambda context: context.peer.user)
    async with (
        mounted(service) as site,
        calling(site, credentials=Password("ann", b"right")) as connection,
    ):
        for _ in range(3):
            assert await connection.call(b"who").result() == b"ann"
    assert asked == ["ann"]


@ensure_deferred
async def test_a_client_that_leaves_during_its_login_cancels_the_check() -> None:
    begun: Deferred[None] = Deferred()
    ended: Deferred[None] = Deferred()

    async def forever(secret: bytes) -> None:  # noqa: ARG001 any will do
        begun.callback(None)
        try:
            await Deferred()
        finally:
            ended.callback(None)

    service = Service(authenticate_token=forever)
    async with mounted(service) as site:
        connecting: Any = Deferred.fromCoroutine(_connect(site))
        await begun
        connecting.cancel()
        await ended
        connecting.addErrback(lambda _: None)
        await connecting


async def _connect(url: str) -> None:
    async with calling(url, credentials=Token(b"any")):
        pass
