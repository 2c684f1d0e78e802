"""A guest book on an ordinary Twisted site: pages, a form, a style sheet; and, for programs, RPC.

    python guestbook.py tcp:8080:interface=127.0.0.1 tcp:8443:interface=127.0.0.1 cert.pem key.pem

serves pages at http://127.0.0.1:8080/, commands that read at http://127.0.0.1:8080/rpc, and all
commands, over TLS, at hgrpcs://127.0.0.1:8443/.
"""

import html
import sys
from pathlib import Path

from twisted.internet import defer, endpoints, task
from twisted.web import resource, server, static

from wiredaemon import Argument, ArgumentType, Certificate, CommandError, Permission, Service

HERE = Path(__file__).parent
PAGE = """<!doctype html><title>Guest book</title><link rel="stylesheet" href="style.css">
<h1>Guest book</h1><ul>{entries}</ul>
<form method="post"><input name="name"> <input name="text"> <button>Sign</button></form>
"""


class GuestBook:
    """The site's own object: it knows neither pages nor commands."""

    def __init__(self):
        self.entries = []

    def sign(self, name, text):
        if not name:
            raise ValueError("an entry needs a name")
        self.entries.append((name, text))
        return len(self.entries)


class BookPage(resource.Resource):
    """The page with all entries and a form for another one."""

    def __init__(self, book):
        super().__init__()
        self.book = book

    def render_GET(self, request):
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        shown = (f"<li>{html.escape(f'{name}: {text}')}" for name, text in self.book.entries)
        return PAGE.format(entries="".join(shown)).encode()

    def render_POST(self, request):
        name, text = (request.args.get(key, [b""])[0].decode() for key in (b"name", b"text"))
        try:
            self.book.sign(name, text)
        except ValueError as error:
            request.setResponseCode(400)
            return str(error).encode()
        request.redirect(b"/")
        return b""


def make_root(book):
    root = resource.Resource()
    root.putChild(b"", BookPage(book))
    root.putChild(b"style.css", static.File(str(HERE / "style.css")))
    return root


# --- from here on: what the site needs for its RPC ------------------------------------------------

TEXT = Argument(type=ArgumentType.TEXT)


def make_service(book):
    service = Service(book)

    @service.command("entries", permission=Permission.RO)
    def entries(context):
        """Give each entry as a map of name and text, the oldest first."""
        for name, text in context.state.entries:
            yield {b"name": name, b"text": text}

    @service.command("sign", permission=Permission.RW, arguments={"name": TEXT, "text": TEXT})
    def sign(context, name, text):
        """Add an entry, and return how many there are."""
        try:
            return context.state.sign(name, text)
        except ValueError as error:
            raise CommandError(b"%s", [str(error)]) from error

    return service


async def serve(reactor, web, raw, certificate):
    """Open the site with its RPC, and the port for programs; return both ports and the service."""
    book = GuestBook()
    root, service = make_root(book), make_service(book)
    root.putChild(b"rpc", service.resource())
    port = await endpoints.serverFromString(reactor, web).listen(server.Site(root))
    listener = await service.listen(raw, certificate=certificate)
    return port, listener, service


async def main(reactor, web, raw, certificate, private_key):
    pair = Certificate(certificate=Path(certificate), private_key=Path(private_key))
    port, listener, service = await serve(reactor, web, raw, pair)
    pages = f"http://127.0.0.1:{port.getHost().port}/"
    print("pages at", pages, "and commands at", listener.url, flush=True)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: defer.Deferred.fromCoroutine(service.stop())
    )
    await defer.Deferred()


if __name__ == "__main__":
    task.react(lambda reactor: defer.Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
