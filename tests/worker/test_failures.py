from __future__ import annotations

import errno

import pytest

from wiredaemon.commands import ServerError
from wiredaemon.worker.failures import (
    OperationFailed,
    Refusal,
    server_error,
    text_for_peer,
)
from wiredaemon.worker.library import error
from wiredaemon.worker.opening import RepositoryUnavailable


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Refusal(b"no"), b"no"),
        (error.RepoLookupError(b"unknown revision 'zz'"), b"unknown revision 'zz'"),
        (error.FilteredRepoLookupError(b"filtered revision '8'"), b"unknown revision"),
        (error.FilteredLookupError(b"\x01" * 20, b"00changelog", b"x"), b"unknown revision"),
        (error.LookupError(b"\x01" * 20, b"00changelog", b"no node"), b"unknown revision"),
        (error.Abort(b"cannot"), b"cannot"),
        (error.Abort(b"cannot", hint=b"try it"), b"cannot (try it)"),
        (error.HookAbort(b"x hook failed"), b"x hook failed"),
        (error.RepoError(b"abandoned transaction found"), b"abandoned transaction found"),
    ],
)
def test_mercurials_own_short_text_is_shown(
    failure: Exception, text: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text_for_peer(failure) == text
    assert capsys.readouterr() == ("", "")


def test_a_lock_that_is_held_is_said_without_its_holder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = error.LockHeld(errno.ETIMEDOUT, b"/secret/lock", b"repository", b"host:12")
    assert text_for_peer(held) == b"timed out waiting for the repository lock"
    assert "/secret/lock" in capsys.readouterr().err


def test_a_lock_that_cannot_be_made_is_said_without_its_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = error.LockUnavailable(errno.EACCES, "Permission denied", b"/secret/lock", b"lock")
    assert text_for_peer(failure, "/x") == b"cannot lock the repository: Permission denied"
    assert capsys.readouterr().err == "/x: cannot be locked: Permission denied: /secret/lock\n"


@pytest.mark.parametrize(
    ("file", "logged"), [("/secret/file", ": /secret/file"), (None, ""), (b"/bytes", ": /bytes")]
)
def test_a_full_disk_is_one_line_of_the_log_and_shown_without_its_file(
    capsys: pytest.CaptureFixture[str], file: str | bytes | None, logged: str
) -> None:
    failure = OSError(errno.ENOSPC, "No space left on device", file)
    assert server_error(failure, b"/x").text == b"No space left on device"
    assert capsys.readouterr().err == f"/x: No space left on device{logged}\n"


def test_another_error_of_the_system_is_logged_with_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = OSError(errno.ENOENT, "No such file or directory", "/secret/file")
    assert text_for_peer(failure) == b"No such file or directory"
    assert "FileNotFoundError: [Errno 2]" in capsys.readouterr().err


def test_an_unavailable_repository_is_not_explained_to_peers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = RepositoryUnavailable("/srv/hg/x/.hg/hgrc:3: what is this")
    assert text_for_peer(failure) == b"repository is not available"
    assert capsys.readouterr().err == "/srv/hg/x/.hg/hgrc:3: what is this\n"


def test_a_damaged_store_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    assert text_for_peer(error.StorageError(b"integrity check failed")) == b"integrity check failed"
    assert "StorageError" in capsys.readouterr().err


@pytest.mark.parametrize(
    "failure", [KeyError("x"), error.ProgrammingError(b"x"), IndexError("list index")]
)
def test_the_unexpected_is_logged_and_shown_as_internal(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text_for_peer(failure) == b"internal error"
    assert type(failure).__name__ in capsys.readouterr().err


def failed(cause: Exception | None, output: bytes) -> OperationFailed:
    failure = OperationFailed(output)
    failure.__cause__ = cause
    return failure


def test_an_operation_that_failed_shows_why_and_what_it_printed() -> None:
    failure = failed(error.HookAbort(b"x hook exited with status 1"), b"not on Fridays\n")
    assert text_for_peer(failure) == b"x hook exited with status 1\nnot on Fridays"


def test_an_operation_that_failed_in_silence_shows_only_why() -> None:
    assert text_for_peer(failed(Refusal(b"no"), b"")) == b"no"


def test_of_much_output_the_end_is_shown() -> None:
    failure = failed(Refusal(b"no"), b"x" * 10_000 + b"end")
    assert text_for_peer(failure) == b"no\n" + b"x" * 4093 + b"end"


def test_every_failure_becomes_a_server_error() -> None:
    made = server_error(error.RepoLookupError(b"unknown revision 'zz'"))
    assert isinstance(made, ServerError)
    assert made.text == b"unknown revision 'zz'"
