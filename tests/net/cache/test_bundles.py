"""When bundles are made, how long they are kept, and who is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_twisted
from support.bundling import CONTENT, SPEC, Bundling, answer
from support.responding import ensure_deferred

from wiredaemon.commands import ServerError
from wiredaemon.net.cache.bundle_maker import (
    INTERVAL_SECONDS,
    PATIENCE_SECONDS,
    QUIET_SECONDS,
)
from wiredaemon.net.cache.bundle_shelf import NAMED_SECONDS
from wiredaemon.repository.clone_bundles import ATTEMPT_COUNTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.bundling import Repository
    from twisted.logger import LogEvent

STREAM = b"none-v2;stream=v2"


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # not annotated
async def bundling(tmp_path: Path) -> AsyncIterator[Bundling]:
    made = Bundling(tmp_path)
    yield made
    made.maker.stop()
    await made.cache.stop()


def has_any(repository: Repository) -> bool:
    """Whether clients may be told of bundles: another answer each time."""
    return repository.bundles.has_any


async def prepared(bundling: Bundling, name: str = "r", *specs: bytes) -> Repository:
    """A repository that has bundles."""
    repository = bundling.repository(name, *specs)
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    return repository


# --- making --------------------------------------------------------------------------------------


@ensure_deferred
async def test_a_bundle_is_made_once_nobody_has_asked_for_a_while(bundling: Bundling) -> None:
    repository = bundling.repository()
    assert not has_any(repository)
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS - 1)
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS - 1)
    assert repository.worker.made == []
    await bundling.pass_by(2)
    assert repository.worker.made == [SPEC]
    assert has_any(repository)
    (bundle,) = await repository.offered()
    reader = await bundling.shelf.open(bundle)
    assert reader is not None
    assert (reader.read(), bundle.size) == (CONTENT, len(CONTENT))
    reader.close()
    reader = await bundling.shelf.open(bundle, 100)
    assert reader is not None
    assert reader.read(10) == CONTENT[100:110]
    reader.close()


@ensure_deferred
async def test_no_worker_is_taken_while_others_need_them(bundling: Bundling) -> None:
    bundling.is_quiet = bundling.has_room = False
    repository = await prepared(bundling)
    await bundling.pass_by(PATIENCE_SECONDS)
    assert repository.worker.made == []
    # As where a slow reader holds one of many, and others go on to ask.
    bundling.has_room = True
    repository.bundles.cloned()
    await bundling.pass_by(2)
    assert repository.worker.made == [SPEC]


@ensure_deferred
async def test_a_repository_that_does_not_change_has_none(bundling: Bundling) -> None:
    repository = bundling.repository()
    bundling.reactor.clock.advance(15 * 86_400)
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == []
    repository.state.unlink()
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == []


@ensure_deferred
async def test_each_kind_is_made_and_none_is_told_of_alone(bundling: Bundling) -> None:
    repository = bundling.repository("r", SPEC, STREAM)
    repository.bundles.cloned()
    repository.worker.next = None
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == [SPEC, STREAM]
    assert [each.facts.spec for each in await repository.offered()] == [SPEC, STREAM]
    # What could not be made now is as good as before.
    drafts = bundling.repository("r", SPEC)
    assert [each.facts.spec for each in await drafts.offered()] == [SPEC, STREAM]
    bundling.shelf.discard(bundling.shelf.of(b"r")[0])
    assert await repository.offered() == []
    assert not has_any(repository)


@ensure_deferred
async def test_another_is_made_when_enough_has_changed_and_no_sooner_than_in_an_hour(
    bundling: Bundling,
) -> None:
    repository = await prepared(bundling)
    (first,) = await repository.offered()
    repository.worker.count = 104
    repository.change()
    await repository.offered()
    await bundling.pass_by(PATIENCE_SECONDS + 1)
    assert repository.worker.made == [SPEC]
    bundling.reactor.clock.advance(INTERVAL_SECONDS)
    await repository.offered()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == [SPEC, SPEC]
    (second,) = await repository.offered()
    assert second.facts.changesets == 104
    # One who was told of the first may ask for it still.
    assert await repository.bundles.find(first.name) is first
    bundling.reactor.clock.advance(INTERVAL_SECONDS)
    repository.worker.count = 105
    repository.change()
    await repository.offered()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == [SPEC, SPEC]
    repository.worker.count = 110
    repository.change()
    await repository.offered()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == [SPEC] * 3
    assert await repository.bundles.find(first.name) is None


@ensure_deferred
async def test_the_hour_counts_across_a_restart(bundling: Bundling) -> None:
    await prepared(bundling)
    await bundling.begin_again()
    repository = bundling.repository()
    repository.worker.count = 200  # much has come since
    await repository.offered()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == []
    bundling.reactor.clock.advance(INTERVAL_SECONDS)
    repository.change()
    await repository.offered()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == [SPEC]


@ensure_deferred
async def test_other_settings_do_not_wait_for_the_hour_of_those_before(bundling: Bundling) -> None:
    await prepared(bundling)
    repository = bundling.repository(described=b"other")
    for made in ([SPEC], [SPEC]):
        repository.bundles.cloned()
        await bundling.pass_by(QUIET_SECONDS + 1)
        assert repository.worker.made == made


@pytest.mark.parametrize(
    "following", [answer(is_good=False), answer(b"x" * (2 << 20)), ServerError("no"), "cut"]
)
@ensure_deferred
async def test_what_is_not_whole_and_good_is_not_kept(
    bundling: Bundling, logged: list[LogEvent], following: object
) -> None:
    repository = bundling.repository()
    # Answers and failures, as they are raised or returned: one parameter holds both.
    repository.worker.next = following  # type: ignore[assignment]
    if following == "cut":
        repository.worker.next = answer()
        repository.worker.next.cut()
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert repository.worker.made == [SPEC]
    assert bundling.files == []
    failed = [event for event in logged if "could not be made" in str(event["log_format"])]
    assert bool(failed) is isinstance(following, ServerError)
    # It is not tried again and again, and others are made.
    repository.bundles.cloned()
    for number in range(5):
        other = await prepared(bundling, f"other{number}")
        assert has_any(other)
    assert repository.worker.made == [SPEC]


@ensure_deferred
async def test_a_daemon_that_stops_makes_no_more(bundling: Bundling) -> None:
    repository = bundling.repository()
    repository.worker.next = waiting = answer()
    waiting.hold()
    repository.bundles.cloned()
    for _ in range(int(QUIET_SECONDS) + 1):
        bundling.reactor.clock.advance(1)
    before = bundling.maker.is_making
    bundling.maker.stop()
    assert (before, bundling.maker.is_making) == (True, False)
    assert waiting.is_closed
    assert bundling.files == []
    assert bundling.reactor.clock.getDelayedCalls() == []


# --- keeping -------------------------------------------------------------------------------------


@ensure_deferred
async def test_bundles_outlive_a_restart(bundling: Bundling) -> None:
    (before,) = await (await prepared(bundling)).offered()
    await bundling.begin_again()
    repository = bundling.repository()
    (bundle,) = await repository.offered()
    assert (bundle.name, bundle.facts) == (before.name, before.facts)
    # A client may have been told of it.
    assert not bundling.shelf.has_room(bundling.limits.cache_size)
    bundling.reactor.clock.advance(NAMED_SECONDS)
    assert bundling.shelf.has_room(bundling.limits.cache_size)


@ensure_deferred
async def test_a_file_of_another_release_is_removed(bundling: Bundling) -> None:
    await prepared(bundling)
    await bundling.cache.stop()
    (file,) = bundling.files
    content = file.read_bytes()
    file.write_bytes(b"\xff" * 4 + content[4:])
    await bundling.begin_again()
    assert bundling.shelf.of(b"r") == ()
    assert bundling.files == []


@ensure_deferred
async def test_a_bundle_that_a_client_was_told_of_makes_no_room(
    tmp_path: Path, logged: list[LogEvent]
) -> None:
    bundling = Bundling(tmp_path, size=2 * len(CONTENT) + 500)
    first = await prepared(bundling, "first")
    (told,) = await first.offered()
    second = await prepared(bundling, "second")
    await second.offered()
    third = await prepared(bundling, "third")
    assert not has_any(third)
    assert "no room" in str(logged[-1]["log_format"])
    assert await first.bundles.find(told.name) is told
    bundling.reactor.clock.advance(max(NAMED_SECONDS, INTERVAL_SECONDS))
    await second.offered()
    third.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    assert has_any(third)
    assert has_any(second)
    assert not has_any(first)
    await bundling.cache.stop()


# --- sending -------------------------------------------------------------------------------------


@ensure_deferred
async def test_a_worker_is_asked_once_for_each_state(bundling: Bundling) -> None:
    repository = await prepared(bundling)
    (bundle,) = await repository.offered()
    for _ in range(3):
        assert await repository.offered() == [bundle]
        assert await repository.bundles.find(bundle.name) is bundle
    assert repository.worker.looks == 1
    repository.change()
    assert await repository.bundles.find(bundle.name) is bundle
    assert repository.worker.looks == 2


@ensure_deferred
async def test_while_an_answer_is_kept_no_client_is_told_of_a_bundle(bundling: Bundling) -> None:
    repository = await prepared(bundling)
    (bundle,) = await repository.offered()
    repository.answered()
    assert await repository.offered() == []
    assert await repository.bundles.find(bundle.name) is bundle
    repository.change()
    assert await repository.offered() == [bundle]


@ensure_deferred
async def test_clients_that_must_have_a_bundle_are_told_of_it_though_an_answer_is_kept(
    bundling: Bundling,
) -> None:
    repository = bundling.repository(described=b"digest" + ATTEMPT_COUNTS)
    repository.bundles.cloned()
    await bundling.pass_by(QUIET_SECONDS + 1)
    repository.answered()
    assert len(await repository.offered()) == 1


@ensure_deferred
async def test_a_copy_of_the_store_goes_first_for_near_clients_though_an_answer_is_kept(
    bundling: Bundling,
) -> None:
    repository = await prepared(bundling, "r", SPEC, STREAM)
    changes, stream = await repository.offered()
    assert await repository.offered(is_near=True) == [stream, changes]
    repository.answered()
    assert await repository.offered() == []
    assert await repository.offered(is_near=True) == [stream, changes]
    # Where there is none, near clients are told what others are.
    plain = await prepared(bundling, "plain", SPEC)
    assert len(await plain.offered(is_near=True)) == 1
    plain.answered()
    assert await plain.offered(is_near=True) == []


@ensure_deferred
async def test_a_bundle_that_is_not_good_is_gone_at_once(
    bundling: Bundling, logged: list[LogEvent]
) -> None:
    repository = await prepared(bundling)
    (bundle,) = await repository.offered()
    repository.worker.is_good = False
    repository.change()
    assert await repository.bundles.find(bundle.name) is None
    assert bundling.files == []
    assert "is removed" in str(logged[-1]["log_format"])
    assert not has_any(repository)
    assert await bundling.shelf.open(bundle) is None


@ensure_deferred
async def test_what_cannot_be_said_to_be_good_is_not_sent(bundling: Bundling) -> None:
    repository = await prepared(bundling)
    (bundle,) = await repository.offered()
    repository.worker.error = ServerError("no worker")
    repository.change()
    for asking in (repository.bundles.offer(), repository.bundles.find(bundle.name)):
        with pytest.raises(ServerError, match="no worker"):
            await asking
    repository.worker.error = None
    assert await repository.bundles.find(bundle.name) is bundle


@ensure_deferred
async def test_a_name_of_another_repository_is_none(bundling: Bundling) -> None:
    (bundle,) = await (await prepared(bundling, "one")).offered()
    other = await prepared(bundling, "two")
    assert await other.bundles.find(bundle.name) is None
    assert await other.bundles.find("x") is None


@ensure_deferred
async def test_other_settings_make_others_and_those_told_of_stay(bundling: Bundling) -> None:
    repository = await prepared(bundling)
    (bundle,) = await repository.offered()
    changed = bundling.repository(described=b"other")
    assert not has_any(changed)
    assert await changed.offered() == []
    assert await changed.bundles.find(bundle.name) is bundle
