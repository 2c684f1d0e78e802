"""``web``: one HTTP request, answered by Mercurial's own web application, ``hgweb``.

That is version 1 of the wire protocol and the pages for people. The daemon has decided before who
may do what; here hgweb's own access settings are opened exactly as far, whatever the repository's
files say. The application shares the repository that the worker keeps open, so it sees new
changesets, hooks and settings as the other commands do.

Source: http, sections 4 and 5.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, cast

from wiredaemon.commands import Permission
from wiredaemon.repository.web_calls import WEB
from wiredaemon.repository.worker_calls import BodyBrokenError
from wiredaemon.worker import wsgi
from wiredaemon.worker.failures import Refusal, may_pass, text_for_peer
from wiredaemon.worker.hgweb_patches import parse_arguments
from wiredaemon.worker.library import encoding, hgweb, wireprotoserver, wireprotov1server
from wiredaemon.worker.mistakes import mistake_in
from wiredaemon.worker.odd_names import disposition
from wiredaemon.worker.public_links import asked_over, scheme_of, with_base
from wiredaemon.worker.wsgi_environ import environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wiredaemon.repository.web_calls import WebRequest
    from wiredaemon.repository.worker_calls import CallContext
    from wiredaemon.wire.values import Value
    from wiredaemon.worker.library_types import Repository
    from wiredaemon.worker.opening import KeptRepository
    from wiredaemon.worker.wsgi import Application
    from wiredaemon.worker.wsgi_environ import Readable

_SOURCE: Final = b"wiredaemon"

_OPEN_TO_READ: Final = (
    (b"allow_read", b""),
    (b"deny_read", b""),
    # The daemon has checked for TLS where it is required.
    (b"push_ssl", b"false"),
)

_SETTINGS: Final[Mapping[Permission, tuple[tuple[bytes, bytes], ...]]] = {
    # deny_push also refuses writes inside a batch (CVE-2018-1000132).
    Permission.RO: (*_OPEN_TO_READ, (b"allow-push", b""), (b"deny_push", b"*")),
    Permission.RW: (*_OPEN_TO_READ, (b"allow-push", b"*"), (b"deny_push", b"")),
}
"""The ``web.*`` settings that allow what was granted, and no more."""

_UTF_8: Final = frozenset((b"utf-8", b"utf8"))
"""The names of the encoding that commands use."""

_LONGEST_PHRASE: Final = 200
"""Bytes of a reason phrase that is made of a text."""

_NOT_PRINTABLE: Final = re.compile(rb"[^ -~]")

_ARCHIVE_PATH: Final = re.compile(rb"/*(?:[^/]*-)?archive(?:/.*)?", re.DOTALL)


def web(
    kept: KeptRepository,
    context: CallContext,
    *,
    request: WebRequest,
    body: Readable,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Value]:
    """Answer one HTTP request to a repository.

    Args:
        kept: The repository.
        context: The user and the permission.
        request: The head of the request.
        body: The body of the request, which need not have arrived; it may be left unread.
        clock: Returns seconds.

    Yields:
        A map, ``status`` (integer), ``reason`` and ``headers`` (list of name and value), then the
        body of the answer in pieces of 1 to 64 KiB.

    Raises:
        RepositoryUnavailable: As ``KeptRepository.served``.
        Exception: What hgweb, hooks or extensions raise in the middle of an answer, or because of
            the state of the machine: the same request may succeed later. What was kept of the
            repository should not be used after it.
    """
    with _opened(kept) as view:
        application = _application(kept, view, request, context.permission)
        placed = with_base(request, view.ui.config(b"web", b"baseurl", untrusted=True))
        if scheme_of(placed) != (b"https" if request.is_secure else b"http"):
            application = asked_over(application, is_secure=request.is_secure)
        variables = environ(placed, user=context.user, body=body)
        has_begun = False
        try:
            with closing(
                wsgi.answer(application, variables, clock=clock, in_thread=_is_archive(request))
            ) as parts:
                for part in parts:
                    has_begun = True
                    yield part if isinstance(part, bytes) else _head(part)
        except BodyBrokenError:
            raise
        except Exception as failure:
            mistake = mistake_in(failure)
            if has_begun and mistake is not None:
                raise Refusal(mistake) from failure
            if has_begun or (mistake is None and may_pass(failure)):
                raise
            # Whatever it has left there, the next request does not see.
            kept.close()
            where = os.fsdecode(posixpath.dirname(view.path))
            head, said = _failed(failure, where) if mistake is None else _refused(mistake)
            yield _head(head)
            if request.method != b"HEAD":
                yield said


def _failed(failure: Exception, repository: str) -> tuple[wsgi.Head, bytes]:
    """Return the answer to a request that will fail again, as of Mercurial's own server a 500.

    Robots and clients come again after a 503. Of errors ``hg`` shows the reason phrase alone, which
    therefore says what has failed.
    """
    said = text_for_peer(failure, repository)
    first = said.strip().partition(b"\n")[0][:_LONGEST_PHRASE]
    phrase = _NOT_PRINTABLE.sub(b"?", first) or b"Internal Server Error"
    sys.stderr.write(f"{repository}: a request has failed: {phrase.decode()}\n")
    return _text(500, phrase, said)


def _refused(mistake: bytes) -> tuple[wsgi.Head, bytes]:
    return _text(400, b"Bad Request", mistake)


def _text(status: int, reason: bytes, said: bytes) -> tuple[wsgi.Head, bytes]:
    body = said + b"\n"
    headers = ((b"Content-Type", b"text/plain"), (b"Content-Length", b"%d" % len(body)))
    return wsgi.Head(status=status, reason=reason, headers=headers), body


def _application(
    kept: KeptRepository, view: Repository, request: WebRequest, permission: Permission
) -> Application:
    """Return the application for a permission and a place, that of the last request if it fits."""
    wanted = (request.script_name, permission, request.may_pull)
    made_for, application = kept.attached.get(WEB, (None, None))
    if made_for != wanted:
        # Both use the settings of the open repository: the other one must not be used again.
        application = hgweb_application(
            view, request.script_name, permission, may_pull=request.may_pull
        )
        kept.attached[WEB] = (wanted, application)
    return cast("Application", application)


def hgweb_application(
    view: Repository, script_name: bytes, permission: Permission, *, may_pull: bool = True
) -> Application:
    """Return Mercurial's web application for an open repository, with its access settings.

    They stay when the application opens the repository anew.

    Args:
        view: The view that it shows, whatever ``web.view`` says.
        script_name: The path of the repository in URLs.
        permission: The permission that was granted.
        may_pull: What pages of extensions are told that ask for more than reading.
    """
    repository = view.unfiltered()
    pull = (b"allow-pull", b"true" if may_pull else b"false")
    gates = (*_SETTINGS[permission], pull, (b"view", view.filtername))
    # hgweb opens the repository anew from `baseui` when it has changed.
    for ui in (repository.ui, repository.baseui):
        for name, value in gates:
            ui.setconfig(b"web", name, value, _SOURCE)
    application: Application = hgweb(repository, name=_shown_name(repository, script_name))
    for ui in (repository.ui, repository.baseui):
        # hgweb assumes a thread, where signals cannot be held back while a lock is made.
        ui.setconfig(b"ui", b"signal-safe-lock", b"true", _SOURCE)
    return application


def version1_commands(repository: Repository) -> dict[bytes, bytes]:
    """Return the version 1 commands that ``web`` serves, sorted: name to ``pull`` or ``push``.

    Those of extensions are among them: all repositories of a process have the same ones.
    """
    protocol = wireprotoserver.httpv1protocolhandler(None, repository.ui, None)
    commands = wireprotov1server.commands
    return {
        bytes(name): bytes(commands[name].permission)
        for name in sorted(commands)
        if commands.commandavailable(name, protocol)
    }


def _shown_name(repository: Repository, script_name: bytes) -> bytes | None:
    """Return the name of the repository on pages, as hgwebdir gives it; None where it has one.

    At the root hgweb would show its path on the server.
    """
    if repository.ui.config(b"web", b"name", untrusted=True):
        return None
    return script_name.strip(b"/") or posixpath.basename(posixpath.dirname(repository.path))


def _is_archive(request: WebRequest) -> bool:
    """Return whether a request is for archives, which hgweb writes instead of yielding pieces."""
    if _ARCHIVE_PATH.fullmatch(request.path_info):
        return True
    return b"archive" in parse_arguments(request.query).get(b"cmd", [])


@contextmanager
def _opened(kept: KeptRepository) -> Iterator[Repository]:
    """Keep the served view for one request, and undo what hgweb changes in the process.

    That is ``web.encoding``, which it sets for all of the library. An open repository remembers
    names in the encoding of the moment: where that is another one, it is opened for the request
    alone.
    """
    ours, view = encoding.encoding, kept.served()
    charset = view.ui.config(b"web", b"encoding", untrusted=True) or ours
    is_other = charset.lower().replace(b"_", b"-") not in _UTF_8
    if is_other:
        kept.close()
        encoding.encoding = charset
    try:
        with _variables_restored(kept.served() if is_other else view) as opened:
            yield opened
    finally:
        encoding.encoding = ours
        if is_other:
            kept.close()


@contextmanager
def _variables_restored(view: Repository) -> Iterator[Repository]:
    ui = view.ui
    variables = ui.environ
    try:
        yield view
    finally:
        # hgweb puts the variables of its request here, and hooks of the next command would find
        # them.
        ui.environ = variables


def _head(head: wsgi.Head) -> Mapping[bytes, Value]:
    return {
        b"status": head.status,
        b"reason": head.reason,
        b"headers": [[name, disposition(name, value)] for name, value in head.headers],
    }
