"""The example of a site with RPC, used by a browser's requests and by real clients."""

from __future__ import annotations

import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import treq
from support.embedding import calling, reactor
from support.responding import ensure_deferred
from support.serving import write_certificate

from wiredaemon import Certificate, CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

with warnings.catch_warnings():
    # Twisted's module of static files warns of itself.
    warnings.simplefilter("ignore", DeprecationWarning)
    from examples.embedded_site import guestbook


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """The example on ports that the system chooses: the URLs of its pages and of its port."""
    write_certificate(folder, "127.0.0.1")
    pair = Certificate(certificate=folder / "cert.pem", private_key=folder / "key.pem")
    anywhere = "tcp:0:interface=127.0.0.1"
    serve: Any = guestbook.serve  # an example has no annotations
    port, listener, service = await serve(reactor(), anywhere, anywhere, pair)
    try:
        yield f"http://127.0.0.1:{port.getHost().port}", listener.url
    finally:
        await service.stop()
        await port.stopListening()


@ensure_deferred
async def test_pages_and_programs_share_the_book(tmp_path: Path) -> None:
    async with served(tmp_path) as (pages, raw):
        form = {"name": "Ann", "text": "hi <all>"}
        await treq.post(pages + "/", data=form, allow_redirects=False, persistent=False)
        async with calling(raw, authorities=tmp_path / "ca.pem") as connection:
            signed = await connection.call(b"sign", {b"name": "Bob", b"text": "hello"}).result()
            assert signed == 2
        async with calling(pages + "/rpc") as connection:
            assert [one async for one in connection.call(b"entries")] == [
                {b"name": b"Ann", b"text": b"hi <all>"},
                {b"name": b"Bob", b"text": b"hello"},
            ]
        page = await treq.content(await treq.get(pages + "/", persistent=False))
        assert b"<li>Ann: hi &lt;all&gt;<li>Bob: hello" in page
        style = await treq.get(pages + "/style.css", persistent=False)
        assert b"font-family" in await style.content()


@ensure_deferred
async def test_who_has_no_tls_may_only_read(tmp_path: Path) -> None:
    async with served(tmp_path) as (pages, _), calling(pages + "/rpc") as connection:
        with pytest.raises(Exception, match="ssl required"):
            await connection.call(b"sign", {b"name": "Bob", b"text": "hello"}).result()


@ensure_deferred
async def test_a_mistake_reads_the_same_in_the_form_and_over_rpc(tmp_path: Path) -> None:
    async with served(tmp_path) as (pages, raw):
        answer = await treq.post(pages + "/", data={"text": "hi"}, persistent=False)
        assert (answer.code, await answer.content()) == (400, b"an entry needs a name")
        async with calling(raw, authorities=tmp_path / "ca.pem") as connection:
            with pytest.raises(CommandError, match=r"^an entry needs a name$"):
                await connection.call(b"sign", {b"name": "", b"text": "hi"}).result()
