"""Errors of repository commands, in the two forms that a peer may see.

Owns which text of an exception may leave the server. Mercurial writes its messages for the people
who use it, so those are shown, but without paths, host names or the existence of what is not
served. Everything unexpected is logged with its traceback on standard error and shown as one
harmless sentence.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
import traceback
from typing import Any, Final

from wiredaemon.commands import ServerError
from wiredaemon.worker.library import error
from wiredaemon.worker.lock_holders import describe_holder
from wiredaemon.worker.opening import RepositoryUnavailable

INTERNAL_ERROR: Final = b"internal error"
UNAVAILABLE: Final = b"repository is not available"
OUT_OF_MEMORY: Final = b"the command needs more memory than it may have (worker_memory_hard)"
LOCKED: Final = b"timed out waiting for the repository lock"

_STATES_OF_THE_MACHINE: Final = frozenset(
    (
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.EPERM,
        errno.EROFS,
        errno.ESTALE,
    )
)
"""Errors that no traceback explains: it does not matter where the program was."""

_SHOWN_OUTPUT: Final = 4096
"""Bytes of a failed operation's output that are shown: the last ones, which say what failed."""


_SHOWN_FRAMES: Final = 20
"""Functions of a traceback that are logged, the innermost ones: a deep query makes 1,000."""

_SHOWN_LINE: Final = 500
"""Characters of each that are logged."""


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """A request cannot be carried out, for a reason that its sender should read.

    Attributes:
        text: The reason, one line in UTF-8.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class OperationFailed(Exception):  # noqa: N818  its cause is the error
    """An operation raised (``__cause__``) after it had printed something.

    Attributes:
        output: The text that it and its hooks printed.
    """

    def __init__(self, output: bytes) -> None:
        super().__init__(output)
        self.output = output


def server_error(failure: Exception, repository: bytes = b"") -> ServerError:
    """Return the error that a peer gets for an exception of a repository command.

    An exception that was not foreseen, or that an operator has to know of, is logged on the way.

    Args:
        failure: The exception.
        repository: The repository's working folder, for the log.
    """
    return ServerError(text_for_peer(failure, os.fsdecode(repository) or "a repository"))


def text_for_peer(failure: Exception, repository: str = "a repository") -> bytes:  # noqa: C901, PLR0911  one return per kind
    """Return the text that a peer gets for an exception; see `server_error`."""
    match failure:
        case Refusal():
            return failure.text
        case OperationFailed():
            return _with_output(failure, repository)
        # The reason names paths of the server.
        case RepositoryUnavailable():
            _log_line(failure.reason)
            return UNAVAILABLE
        # Before OSError, which it is, too; its own text names host and process.
        case error.LockHeld():
            _log_line(f"{repository}: no lock within the time to wait: {describe_holder(failure)}")
            return LOCKED
        case error.LockUnavailable():
            _log_line(f"{repository}: cannot be locked: {_named(failure)}")
            return b"cannot lock the repository: %s" % _reason(failure)
        case error.FilteredRepoLookupError() | error.LookupError():
            # Mercurial's own texts would say what exists and is not served.
            return b"unknown revision"
        case error.Error() | error.RepoError():
            # A damaged store is the operator's business, and the peer's text says too little to
            # find where.
            if isinstance(failure, error.StorageError):
                _log_traceback(failure)
            return _message(failure)
        case OSError():
            # Permission denied, no space left: the reason, not the file.
            _log_system_error(failure, repository)
            return _reason(failure)
        case MemoryError():
            _log_line(f"{OUT_OF_MEMORY.decode()}: {_most_memory()} bytes")
            return OUT_OF_MEMORY
        case _:
            _log_traceback(failure)
            return INTERNAL_ERROR


def may_pass(failure: Exception) -> bool:
    """Return whether the same request may succeed later: the state of the machine has failed it."""
    if isinstance(failure, OSError):
        return isinstance(failure, error.LockError) or failure.errno in _STATES_OF_THE_MACHINE
    return isinstance(failure, RepositoryUnavailable)


def _most_memory() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def _reason(failure: OSError) -> bytes:
    return (failure.strerror or type(failure).__name__).encode()


def _log_system_error(failure: OSError, repository: str) -> None:
    if failure.errno in _STATES_OF_THE_MACHINE:
        _log_line(f"{repository}: {_named(failure)}")
    else:
        _log_traceback(failure)


def _named(failure: OSError) -> str:
    """Return the reason and the file, where the system says which."""
    file = "" if failure.filename is None else f": {os.fsdecode(failure.filename)}"
    return f"{_reason(failure).decode()}{file}"


def _with_output(failure: OperationFailed, repository: str) -> bytes:
    cause = failure.__cause__
    text = text_for_peer(cause, repository) if isinstance(cause, Exception) else INTERNAL_ERROR
    output = failure.output.strip()[-_SHOWN_OUTPUT:]
    return text + b"\n" + output if output else text


def _message(failure: Exception) -> bytes:
    """Return Mercurial's own text, with its hint in parentheses."""
    message: Any = failure.args[0] if failure.args else type(failure).__name__
    text = message if isinstance(message, bytes) else str(message).encode()
    hint: bytes | None = getattr(failure, "hint", None)
    return b"%s (%s)" % (text, hint) if hint else text


def _log_line(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _log_traceback(failure: BaseException) -> None:
    """Log the innermost part of a traceback, which a request must not make as long as it likes."""
    lines = traceback.format_exception(failure, limit=-_SHOWN_FRAMES, chain=False)
    sys.stderr.write("".join(line[:_SHOWN_LINE].rstrip("\n") + "\n" for line in lines))
