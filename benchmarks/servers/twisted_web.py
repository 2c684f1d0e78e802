"""A twisted.web Site that sends back a small body, or the size of a large one.

By default access log lines are formatted and not written, as twisted.web does. With the argument
`logged` they are written to standard output, as under twistd; with `quiet` there is no access log,
and POST bodies are not searched for forms.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from benchmarks.servers.listening import reactor, serve

_LARGE: Final = 65536


class Post(Resource):
    """Sends back the body, or its size in digits if it is large."""

    isLeaf = True

    def render_POST(self, http_request: Request) -> bytes:
        """Answer when the whole body has arrived."""
        body = http_request.content
        if body is None:
            return b""
        size = body.seek(0, os.SEEK_END)
        body.seek(0)
        return body.read() if size < _LARGE else b"%d" % size


class QuietSite(Site):
    """A Site without access log."""

    def log(self, request: Any) -> None:  # noqa: ANN401 of a type that Twisted does not export
        """Write nothing."""


def main() -> None:
    """Serve until the process is ended."""
    options: dict[str, Any] = {"reactor": reactor}
    if sys.argv[1:] == ["logged"]:
        log.startLogging(sys.stdout, setStdout=False)
    if sys.argv[1:] == ["quiet"]:
        serve(QuietSite(Post(), parsePOSTFormSubmission=False, **options))
    else:
        serve(Site(Post(), **options))


if __name__ == "__main__":
    main()
