"""Tests of the guest book's commands with Twisted's trial: ``trial test_guestbook_trial``."""

from guestbook import GuestBook, make_service
from twisted.trial.unittest import TestCase

from wiredaemon import CommandError, Permission
from wiredaemon.testing import ServiceTester


class GuestBookTests(TestCase):
    def setUp(self):
        self.book = GuestBook()
        self.service = make_service(self.book)
        self.tester = ServiceTester(self.service)
        self.addCleanup(self.tester.disconnect)

    async def test_who_signs_is_among_the_entries(self):
        self.assertEqual(await self.tester.call("sign", {"name": "Ann", "text": "hi"}), 1)
        entries = [entry async for entry in self.tester.objects("entries")]
        self.assertEqual(entries, [{b"name": b"Ann", b"text": b"hi"}])

    async def test_an_entry_needs_a_name(self):
        with self.assertRaises(CommandError) as caught:
            await self.tester.call("sign", {"name": "", "text": "hi"})
        self.assertEqual(str(caught.exception), "an entry needs a name")
        self.assertEqual(self.book.entries, [])

    async def test_readers_cannot_sign(self):
        reader = ServiceTester(self.service, permission=Permission.RO)
        with self.assertRaises(CommandError):
            await reader.call("sign", {"name": "Ann", "text": "hi"})
