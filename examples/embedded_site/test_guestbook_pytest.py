"""Tests of the guest book's commands with pytest and pytest-twisted."""

import pytest
import pytest_twisted
from guestbook import GuestBook, make_service

from wiredaemon import CommandError


@pytest.fixture
def book():
    return GuestBook()


@pytest.fixture
def tester(book, service_tester):
    return service_tester(make_service(book))


@pytest_twisted.ensureDeferred
async def test_who_signs_is_among_the_entries(tester):
    assert await tester.call("sign", {"name": "Ann", "text": "hi"}) == 1
    entries = [entry async for entry in tester.objects("entries")]
    assert entries == [{b"name": b"Ann", b"text": b"hi"}]


@pytest_twisted.ensureDeferred
async def test_an_entry_needs_a_name(tester, book):
    with pytest.raises(CommandError, match="an entry needs a name"):
        await tester.call("sign", {"name": "", "text": "hi"})
    assert book.entries == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("dialect", ["0003", "0004", "0005", "0006"])
async def test_every_dialect_carries_the_texts(book, service_tester, dialect):
    tester = service_tester(make_service(book), dialect=dialect)
    await tester.call("sign", {"name": "Jörg", "text": "grüß dich"})
    assert book.entries == [("Jörg", "grüß dich")]
