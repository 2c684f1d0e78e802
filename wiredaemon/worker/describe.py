"""Describes a repository to the daemon, which decides with that what requests may do.

The repository is opened anew for each description, so that nothing stale is described.

Source: http, sections 2 and 5; commands, sections 2.1 and 4.3.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from wiredaemon.repository.descriptions import Description
from wiredaemon.worker import watched_paths as watched
from wiredaemon.worker.clone_bundles import bundle_specs
from wiredaemon.worker.extension_sets import set_of
from wiredaemon.worker.kept_clones import (
    BUNDLE_SWITCH,
    STREAMS_FIRST,
    SWITCH,
    clones_key,
    depends_on_user,
    streams_first,
)
from wiredaemon.worker.library import error, streamclone, webcommands, wireprototypes
from wiredaemon.worker.opening import RepositoryUnavailable, open_repository, served
from wiredaemon.worker.values import capabilities_v1
from wiredaemon.worker.web import version1_commands

if TYPE_CHECKING:
    from wiredaemon.repository.clone_bundles import StreamsFirst
    from wiredaemon.repository.descriptions import Setting
    from wiredaemon.worker.library_types import Repository, Ui

_WEB_SPELLINGS: Final = {
    b"push_ssl": (b"push_ssl",),
    # Mercurial's own aliases (http, section 2).
    b"allow-push": (b"allow-push", b"allow_push"),
    b"deny_push": (b"deny_push",),
    b"allow_read": (b"allow_read",),
    b"deny_read": (b"deny_read",),
    b"allow-pull": (b"allow-pull", b"allowpull"),
}
"""The daemon's name of each setting, and all names that a file may use for it."""

_WEB_BOOLEANS: Final = frozenset((b"push_ssl", b"allow-pull"))

_API_SWITCHES: Final = (
    (b"enabled", b"web.apiserver"),
    (b"http_v2", b"web.api.http-v2"),
    (b"debugreflect", b"web.api.debugreflect"),
    (b"json", b"web.api.json"),
)


def describe(path: bytes) -> Description:
    """Describe the repository whose working folder is ``path``.

    What is not trusted of its configuration is logged, as Mercurial's own server says it once.

    Raises:
        RepositoryUnavailable: It cannot be opened, or a setting has a value of the wrong kind.
    """
    repository = open_repository(path, tells_untrusted=True)
    try:
        return _describe(served(repository))
    finally:
        repository.close()


def _describe(repository: Repository) -> Description:
    ui = repository.ui
    engines = wireprototypes.supportedcompengines(ui, b"server")
    return Description(
        web=_web_settings(ui),
        api=_api_switches(ui),
        requirements=sorted(streamclone.streamed_requirements(repository)),
        compression=[engine.wireprotosupport().name for engine in engines],
        stream_allowed=bool(streamclone.allowservergeneration(repository)),
        capabilities=capabilities_v1(repository),
        version1=version1_commands(repository),
        description=_text(ui, b"description"),
        contact=_contact(ui),
        name=_text(ui, b"name"),
        labels=[bytes(each) for each in ui.configlist(b"web", b"labels", untrusted=True)],
        extensions=set_of(ui),
        hidden=_web_boolean(ui, b"hidden", (b"hidden",)),
        watched=watched.described_paths(repository),
        rare=watched.rare_paths(),
        state=watched.state_paths(repository),
        journals=watched.abandoned_paths(repository),
        clones=_clones(repository),
        clones_by_user=depends_on_user(ui),
        bundles=_bundles(repository),
        streams_first=_streams_first(ui),
    )


def _clones(repository: Repository) -> bytes:
    try:
        return clones_key(repository)
    except error.ConfigError as failure:
        section, name = SWITCH
        raise _unreadable(repository.ui, section, (name,), failure) from failure


def _bundles(repository: Repository) -> list[bytes]:
    try:
        return bundle_specs(repository)
    except error.ConfigError as failure:
        section, name = BUNDLE_SWITCH
        raise _unreadable(repository.ui, section, (name,), failure) from failure


def _streams_first(ui: Ui) -> StreamsFirst:
    try:
        return streams_first(ui)
    except error.ConfigError as failure:
        section, name = STREAMS_FIRST
        raise _unreadable(ui, section, (name,), failure) from failure


def _text(ui: Ui, name: bytes) -> bytes:
    return bytes(ui.config(b"web", name, untrusted=True) or b"")


def _contact(ui: Ui) -> bytes:
    """Return whom to write to: where ``[web]`` names nobody, the user, as in hgwebdir's lists."""
    return bytes(webcommands.get_contact(lambda *name: ui.config(*name, untrusted=True)))


def _web_settings(ui: Ui) -> dict[bytes, Setting]:
    """Return the ``[web]`` values that are set, by files that Mercurial trusts or does not."""
    return {
        name: _web_setting(ui, name)
        for name, spellings in _WEB_SPELLINGS.items()
        if any(ui.hasconfig(b"web", spelling, untrusted=True) for spelling in spellings)
    }


def _web_setting(ui: Ui, name: bytes) -> Setting:
    if name not in _WEB_BOOLEANS:
        # Untrusted files count for `[web]`, as with Mercurial (http, section 2): an owner may
        # restrict a repository without the server's trust.
        return [bytes(item) for item in ui.configlist(b"web", name, untrusted=True)]
    return _web_boolean(ui, name, _WEB_SPELLINGS[name])


def _web_boolean(ui: Ui, name: bytes, spellings: tuple[bytes, ...]) -> bool:
    try:
        return ui.configbool(b"web", name, untrusted=True)
    except error.ConfigError as failure:
        raise _unreadable(ui, b"web", spellings, failure) from failure


def _api_switches(ui: Ui) -> dict[bytes, bool]:
    """Return the ``[experimental]`` switches that trusted files set."""
    return {
        switch: _api_switch(ui, name)
        for switch, name in _API_SWITCHES
        # Trusted files alone: these switches open something, where those of `[web]` that matter
        # close it.
        if ui.hasconfig(b"experimental", name)
    }


def _api_switch(ui: Ui, name: bytes) -> bool:
    try:
        return ui.configbool(b"experimental", name, default=False)
    except error.ConfigError as failure:
        raise _unreadable(ui, b"experimental", (name,), failure) from failure


def _unreadable(
    ui: Ui, section: bytes, spellings: tuple[bytes, ...], failure: Exception
) -> RepositoryUnavailable:
    # Which spelling was wrong is not in the library's error: the first that is set names the file.
    sources = (ui.configsource(section, spelling, untrusted=True) for spelling in spellings)
    source = next(filter(None, sources), b"configuration")
    return RepositoryUnavailable(f"{os.fsdecode(source)}: {os.fsdecode(failure.args[0])}")
