"""The entry point of ``twistd wiredaemon``: makes a service of options, or fails in one line."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wiredaemon.daemon.check import check
from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.embedded import default_data_folder, embedded_config, with_certificate
from wiredaemon.daemon.privileges import as_user
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.daemon.twistd_options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.application.service import IService
    from twisted.internet.interfaces import IReactorCore

    from wiredaemon.daemon.config import Config

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """Return the daemon's service; before it is started it opens no port and starts no process.

    Raises:
        SystemExit: the configuration is wrong, with the text for people and exit status 1.
            ``UsageError`` would do only while options are parsed: from here on, ``twistd`` shows
            its traceback.
    """
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs it)

    try:
        config = _config(options, reactor)
        # It brings the whole of net with it, which --help and a wrong file need not load.
        from wiredaemon.daemon.service import WireDaemonService  # noqa: PLC0415 as above
        from wiredaemon.daemon.steady_clock import use_steady_clock  # noqa: PLC0415 likewise

        # Before anything measures time by the old one.
        use_steady_clock(reactor)
        return WireDaemonService(config, reactor, lambda: _config(options, reactor))
    except ConfigurationError as error:
        raise SystemExit(f"wiredaemon: {error}") from None


def _config(options: Options, reactor: IReactorCore) -> Config:
    now = datetime.now(UTC)
    # `twist` has neither.
    outer: Mapping[str, Any] = options.parent or {}
    uid, gid = outer.get("uid"), outer.get("gid")
    if options["config"] is None:
        folder = options["data"] or default_data_folder(os.environ, Path.home())
        with as_user(uid, gid):
            config = embedded_config(folder.absolute(), now=now)
        check(config, reactor)
        return config
    config = load_config(options["config"])
    check(config, reactor)
    with as_user(uid, gid):
        return with_certificate(config, now=now)
