"""The whole examination: all that is found about a configuration, at once."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wiredaemon.daemon.check import read_all
from wiredaemon.daemon.doctor.accounts import examine_accounts, examine_secrets
from wiredaemon.daemon.doctor.certificates import examine_certificates
from wiredaemon.daemon.doctor.commands import examine_commands
from wiredaemon.daemon.doctor.finding import error, of_mistake, usable, warning
from wiredaemon.daemon.doctor.folders import examine_rights
from wiredaemon.daemon.doctor.machine import examine_machine
from wiredaemon.daemon.doctor.ports import examine_ports
from wiredaemon.daemon.doctor.workers import examine_repositories
from wiredaemon.daemon.privileges import as_user

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from wiredaemon.daemon.config import Config
    from wiredaemon.daemon.doctor.finding import Finding


@dataclass(frozen=True, slots=True)
class _Runner:
    """The user as whom the examination is made."""

    name: str
    uid: int | None = None
    """The number to change to; None to stay who we are."""


async def examine(
    file: Path,
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    *,
    user: str | None = None,
    now: datetime,
) -> list[Finding]:
    """Return all findings about a configuration; nothing is changed, and no process is left.

    Args:
        file: The configuration.
        reactor: Starts a worker, which has ended when this returns.
        user: The user that the daemon will run as, where root starts it; None for the present one.
        now: The present, with its time zone.
    """
    config, wrong = read_all(file, reactor)
    found = [of_mistake(each) for each in wrong]
    if config is None:
        return found
    if not found:
        found.append(usable(config.file))
    runner, said = _runner(user)
    found += said
    found += examine_certificates(config, now)
    found += examine_accounts(config, now)
    found += examine_secrets(config)
    if not any(each.key.partition(".")[0] == "listen" for each in wrong):
        found += examine_ports(config)
    with as_user(runner.uid, None):
        found += await _examine_as_user(config, reactor, runner.name)
    return found


async def _examine_as_user(config: Config, reactor: Any, name: str) -> list[Finding]:  # noqa: ANN401 the same
    return [
        *examine_rights(config, name),
        *examine_machine(config),
        *examine_commands(config),
        *await examine_repositories(config, reactor),
    ]


def _runner(user: str | None) -> tuple[_Runner, list[Finding]]:
    own = os.geteuid()
    try:
        name = pwd.getpwuid(own).pw_name
    except KeyError:
        name = f"user {own}"
    if user is None:
        return _Runner(name), []
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        how = f"useradd --system {user}, or name a user that there is"
        return _Runner(name), [error("user", f"there is no user {user}", how)]
    if own not in {0, uid}:
        text = f"rights were looked at as {name}: only root can look at them as {user}"
        return _Runner(name), [warning("user", text, "run this as root, or as that user")]
    return _Runner(user, uid), []
