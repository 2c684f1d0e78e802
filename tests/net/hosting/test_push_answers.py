from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.logs import observed, texts_of
from twisted.internet.defer import Deferred

from wiredaemon.net.hosting.push_answers import KEPT_SECONDS, MOST, Answer, Push, PushAnswers
from wiredaemon.repository.web_calls import WebRequest

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = [(b"Content-Type", b"application/mercurial-0.1")]
ACCEPTED = Answer(200, b"Script output follows", HEADERS, b"HG20...reply:changegroup...")
RACED = Answer(200, b"Script output follows", HEADERS, b"HG20...ERROR:PUSHRACED...")
REFUSED = Answer(200, b"Script output follows", HEADERS, b"HG20...ERROR:ABORT...")
OLD_REFUSED = Answer(200, b"Script output follows", HEADERS, b"0\nno\n")


def head(heads: bytes = b"heads=66", path: bytes = b"/team") -> WebRequest:
    return WebRequest(
        method=b"POST",
        script_name=path,
        query=b"cmd=unbundle",
        headers=((b"X-HgArg-1", heads), (b"User-Agent", b"any")),
        server_name=b"here",
        server_port=80,
    )


def pushed(
    answers: PushAnswers,
    body: bytes = b"bundle",
    *,
    user: str | None = "ann",
    wanted: WebRequest | None = None,
) -> Push:
    push = answers.begin(user, wanted or head())
    for octet in body:
        push.receive_data(bytes([octet]))
    push.receive_end()
    assert push.is_whole
    return push


def test_a_push_is_whole_at_its_end(tmp_path: Path) -> None:
    assert not PushAnswers(tmp_path).begin("ann", head()).is_whole


def settled(push: Push, answer: Answer) -> Answer | None:
    """Return what the client gets; None while that is open."""
    results: list[Answer] = []
    Deferred.fromCoroutine(push.settle(answer)).addCallback(results.append)
    if results:
        push.end()
    return results[0] if results else None


def test_the_same_push_has_the_first_answer_also_from_another_process(tmp_path: Path) -> None:
    folder = tmp_path / "pushes"
    assert settled(pushed(PushAnswers(folder)), ACCEPTED) == ACCEPTED
    for _ in range(2):
        assert settled(pushed(PushAnswers(folder)), RACED) == ACCEPTED
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED, OLD_REFUSED])
def test_only_a_race_is_replaced(tmp_path: Path, answer: Answer) -> None:
    answers = PushAnswers(tmp_path)
    first = ACCEPTED._replace(body=b"the first")
    assert settled(pushed(answers), first) == first
    assert settled(pushed(answers), answer) == answer


def test_another_push_is_refused_as_ever(tmp_path: Path) -> None:
    answers = PushAnswers(tmp_path)
    assert settled(pushed(answers), ACCEPTED) == ACCEPTED
    for other in (
        pushed(answers, b"another"),
        pushed(answers, user="bob"),
        pushed(answers, user=None),
        pushed(answers, wanted=head(b"heads=77")),
        pushed(answers, wanted=head(path=b"/other")),
    ):
        assert settled(other, RACED) == RACED


@pytest.mark.parametrize("answer", [REFUSED, OLD_REFUSED, ACCEPTED._replace(status=500)])
def test_the_answer_to_a_push_that_failed_is_not_kept(tmp_path: Path, answer: Answer) -> None:
    answers = PushAnswers(tmp_path)
    assert settled(pushed(answers), answer) == answer
    assert settled(pushed(answers), RACED) == RACED


def test_a_second_push_waits_for_the_answer_to_the_first(tmp_path: Path) -> None:
    answers = PushAnswers(tmp_path)
    first, second = pushed(answers), pushed(answers)
    results: list[Answer] = []
    Deferred.fromCoroutine(second.settle(RACED)).addCallback(results.append)
    assert results == []
    assert settled(first, ACCEPTED) == ACCEPTED
    assert results == [ACCEPTED]
    second.end()
    assert answers.running == {}


def test_a_second_push_is_refused_where_the_first_one_failed(tmp_path: Path) -> None:
    answers = PushAnswers(tmp_path)
    first, second = pushed(answers), pushed(answers)
    results: list[Answer] = []
    Deferred.fromCoroutine(second.settle(RACED)).addCallback(results.append)
    first.end()
    assert results == [RACED]


def test_answers_are_kept_for_some_minutes(tmp_path: Path) -> None:
    now = [1000.0]
    answers = PushAnswers(tmp_path, lambda: now[0])
    settled(pushed(answers), ACCEPTED)
    [file] = tmp_path.iterdir()
    os.utime(file, (1000, 1000))
    now[0] += KEPT_SECONDS
    assert settled(pushed(answers), RACED) == ACCEPTED
    now[0] += 1
    assert settled(pushed(answers), RACED) == RACED
    settled(pushed(answers, b"another"), ACCEPTED)
    assert not file.exists()


def test_there_are_never_too_many(tmp_path: Path) -> None:
    answers = PushAnswers(tmp_path)
    for number in range(MOST + 5):
        (tmp_path / f"{number}").write_bytes(b"")
        os.utime(tmp_path / f"{number}", (number, number))
    settled(pushed(PushAnswers(tmp_path, lambda: 1.0)), ACCEPTED)
    assert len(list(tmp_path.iterdir())) == MOST + 1
    assert settled(pushed(answers), RACED) == ACCEPTED


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    answers = PushAnswers(tmp_path / "file")
    with observed("wiredaemon") as events:
        assert settled(pushed(answers), ACCEPTED) == ACCEPTED
    assert "the answer to a push was not kept" in texts_of(events)[0]
    assert settled(pushed(answers), RACED) == RACED


def test_a_file_that_is_damaged_is_no_answer(tmp_path: Path) -> None:
    answers = PushAnswers(tmp_path)
    settled(pushed(answers), ACCEPTED)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert settled(pushed(answers), RACED) == RACED
