from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.asked_pool import AskedPool
from support.descriptions import described
from support.logs import texts_of
from twisted.internet.defer import Deferred

from wiredaemon.commands import Peer, Permission, ServerError
from wiredaemon.commands.capabilities import RepositoryFacts
from wiredaemon.commands.registry import Registry
from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
from wiredaemon.net.hosting.host import CommandsOnly, HostedRepository, Settings
from wiredaemon.net.workers.described import RepositoryUnavailableError
from wiredaemon.repository.worker_calls import RECOVER, CallContext

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.logger import LogEvent


ANN: Final = Peer(address="10.0.0.1:99", user="ann")


class Hosted:
    def __init__(self, folder: Path) -> None:
        self.hgrc = folder / ".hg" / "hgrc"
        self.hgrc.parent.mkdir()
        self.pool = AskedPool()
        pool: Any = self.pool
        self.host = HostedRepository(
            os.fsencode(folder),
            registry=Registry(),
            switches=ApiSwitches(enabled=False, http_v2=False),
            access=AccessRules(allow_push=("ann",)),
            pool=pool,
        )

    def ask(self) -> list[object]:
        """Ask for settings; the list is filled when they, or a failure, come."""
        got: list[object] = []
        settings = self.host.settings()
        if isinstance(settings, Deferred):
            settings.addCallbacks(got.append, lambda failure: got.append(failure.value))
        else:
            got.append(settings)
        return got

    def described(self) -> object:
        """Ask for settings that a worker must be asked for, and return them."""
        got = self.ask()
        assert got == []
        self.pool.descriptions[-1].callback(self.describe())
        (settings,) = got
        return settings

    def describe(self, **changes: object) -> dict[bytes, object]:
        return dict(described(**{"watched": [os.fsencode(self.hgrc)], **changes}).encode())


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    return Hosted(tmp_path)


def test_what_an_hgrc_sets_overrides_the_configuration_and_the_rest_stays(hosted: Hosted) -> None:
    got = hosted.ask()
    hosted.pool.descriptions[0].callback(
        hosted.describe(web={b"push_ssl": False, b"deny_read": [b"bob"]}, api={b"enabled": True})
    )
    assert got == [
        Settings(
            switches=ApiSwitches(enabled=True, http_v2=False),
            access=AccessRules(push_ssl=False, allow_push=("ann",), deny_read=("bob",)),
            facts=RepositoryFacts(
                version1=b"batch known",
                reduced=b"known",
                compression=[b"zlib"],
                requirements=[b"revlogv1"],
                stream_allowed=True,
            ),
        )
    ]


def test_what_is_for_people_is_read_as_far_as_it_is_text_and_hidden_only_where_it_says_so(
    hosted: Hosted,
) -> None:
    got = hosted.ask()
    hosted.pool.descriptions[0].callback(
        hosted.describe(description="Café".encode() + b"\xff", contact=b"ann", hidden=True)
    )
    (settings,) = got
    assert isinstance(settings, Settings)
    assert (settings.description, settings.contact, settings.hidden) == (
        "Café\ufffd",
        "ann",
        True,
    )
    default = Settings(switches=ApiSwitches(), access=AccessRules())
    assert (default.description, default.contact, default.hidden) == ("", "", False)


def test_a_description_is_kept_until_a_watched_file_changes(hosted: Hosted) -> None:
    hosted.ask()
    hosted.pool.descriptions[0].callback(hosted.describe())
    assert len(hosted.ask()) == 1
    assert len(hosted.pool.descriptions) == 1
    hosted.hgrc.write_text("[web]\n")
    assert hosted.ask() == []
    assert len(hosted.pool.descriptions) == 2


def test_settings_are_the_same_object_until_something_has_changed(hosted: Hosted) -> None:
    first = hosted.described()
    assert all(hosted.host.settings() is first for _ in range(3))
    hosted.hgrc.write_text("[web]\n")
    second = hosted.described()
    assert second is not first
    assert hosted.host.settings() is second


def test_commands_alone_have_the_same_settings_for_ever() -> None:
    host = CommandsOnly(Registry(), ApiSwitches(), AccessRules())
    assert host.settings() is host.settings()


def test_a_change_while_the_first_description_is_made_is_not_missed(hosted: Hosted) -> None:
    hosted.ask()
    hosted.hgrc.write_text("[web]\ndeny_read = *\n")
    included = hosted.hgrc.with_name("included")
    watched = [os.fsencode(included), os.fsencode(hosted.hgrc)]
    hosted.pool.descriptions[0].callback(hosted.describe(watched=watched))
    assert hosted.ask() == []


def test_an_hgrc_that_is_written_over_with_its_old_time_and_size_has_changed(
    hosted: Hosted,
) -> None:
    hosted.hgrc.write_text("[web]\nallow_read=*\n")
    times = hosted.hgrc.stat()
    hosted.ask()
    hosted.pool.descriptions[0].callback(hosted.describe())
    assert len(hosted.ask()) == 1
    hosted.hgrc.write_text("[web]\ndeny_read =*\n")
    os.utime(hosted.hgrc, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert hosted.ask() == []


def test_who_asks_while_a_worker_is_asked_waits_for_the_same_answer(hosted: Hosted) -> None:
    first, second = hosted.ask(), hosted.ask()
    assert len(hosted.pool.descriptions) == 1
    hosted.pool.descriptions[0].callback(hosted.describe())
    assert first == second
    assert len(first) == 1


def test_a_change_while_the_worker_reads_is_not_missed(hosted: Hosted) -> None:
    hosted.ask()
    hosted.pool.descriptions[0].callback(hosted.describe())
    hosted.hgrc.write_text("[web]\n")
    hosted.ask()
    hosted.hgrc.write_text("[web]\ndeny_read = *\n")
    hosted.pool.descriptions[1].callback(hosted.describe())
    assert hosted.ask() == []


def test_a_repository_that_cannot_be_described_is_asked_for_again_and_complained_of_once(
    hosted: Hosted, logged: list[LogEvent]
) -> None:
    for count in (1, 2):
        got = hosted.ask()
        hosted.pool.descriptions[-1].errback(RepositoryUnavailableError("hgrc:1: broken"))
        assert [str(error) for error in got] == ["hgrc:1: broken"]
        assert len(hosted.pool.descriptions) == count
    hosted.ask()
    hosted.pool.descriptions[-1].callback(hosted.describe())
    path = os.fsdecode(hosted.host.path)
    assert texts_of(logged) == [
        f"repository {path} is not available: hgrc:1: broken",
        f"repository {path} is available again",
    ]


def test_a_description_that_makes_no_sense_fails_those_who_wait(hosted: Hosted) -> None:
    got = hosted.ask()
    hosted.pool.descriptions[0].callback({})
    assert [type(error) for error in got] == [ServerError]
    assert hosted.ask() == []


def test_commands_reach_the_pool_with_the_repository_the_user_and_the_permission(
    hosted: Hosted,
) -> None:
    hosted.host.repository(ANN, Permission.RW).call(b"heads", {b"publiconly": True})
    context = CallContext(repository=hosted.host.path, user="ann", permission=Permission.RW)
    assert hosted.pool.asked == [(context, b"heads", {b"publiconly": True})]


def test_the_commands_of_version_1_are_those_of_the_description(hosted: Hosted) -> None:
    got = hosted.ask()
    version1 = {b"heads": b"pull", b"unbundle": b"push"}
    hosted.pool.descriptions[0].callback(hosted.describe(version1=version1))
    (settings,) = got
    assert isinstance(settings, Settings)
    assert settings.version1 == version1


def test_an_abandoned_transaction_is_recovered_before_a_command(hosted: Hosted) -> None:
    hosted.ask()
    journal = hosted.hgrc.parent / "elsewhere"
    hosted.pool.descriptions[0].callback(hosted.describe(journals=[os.fsencode(journal)]))
    journal.write_text("")
    hosted.host.repository(ANN, Permission.RO).call(b"heads", {})
    recovery = CallContext(repository=hosted.host.path, permission=Permission.RW)
    assert hosted.pool.asked == [(recovery, RECOVER, {})]
    journal.unlink()
    hosted.host.repository(ANN, Permission.RO).call(b"heads", {})
    context = CallContext(repository=hosted.host.path, user="ann", permission=Permission.RO)
    assert hosted.pool.asked[1:] == [(context, b"heads", {})]


def test_without_a_repository_settings_are_the_configuration_and_repositories_refused() -> None:
    switches, access = ApiSwitches(debugreflect=True), AccessRules(allow_pull=False)
    host = CommandsOnly(Registry(), switches, access)
    assert host.settings() == Settings(switches=switches, access=access)
    with pytest.raises(ServerError, match="no repository is served at this path"):
        host.repository(ANN, Permission.RO)
