"""Checks of a configuration that can be made before a port opens.

Owns the checks of everything that a ``Config`` names outside its own file. ``check-config`` and the
start of the daemon share them, so they agree. ``folders`` only warns of repositories: the daemon
reports a missing one, serves the rest, and serves it when it appears.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.daemon.auth_config import auth_mistakes
from wiredaemon.daemon.certificate import CertificateError, CertificateFiles, check_pair
from wiredaemon.daemon.config_file import load_all
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.cache.targets import S3
from wiredaemon.net.endpoints import EndpointError, server_endpoint
from wiredaemon.net.tls import TlsError, check_authorities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.internet.interfaces import IReactorCore

    from wiredaemon.daemon.config import Config


def check(config: Config, reactor: IReactorCore) -> None:
    """Verify everything that the configuration names; nothing is opened, made or changed.

    Args:
        config: The result of ``load_config`` or ``embedded_config``.
        reactor: Endpoints are made for it and dropped; any reactor will do.

    Raises:
        ConfigurationError: for the first thing that is wrong.
    """
    for mistake in mistakes(config, reactor):
        raise mistake


def read_all(file: Path, reactor: IReactorCore) -> tuple[Config | None, list[ConfigurationError]]:
    """Read a configuration file and all that it names, in spite of what is wrong with it.

    Returns:
        The configuration, None where the file cannot be read or is no TOML; and all mistakes, those
        of the file itself first.
    """
    config, wrong = load_all(file)
    if config is None:
        return None, wrong
    # Further mistakes of a wrong table may only follow from the first ones.
    known = {_table_of(each) for each in wrong}
    later = [each for each in mistakes(config, reactor) if _table_of(each) not in known]
    return config, wrong + later


def _table_of(mistake: ConfigurationError) -> str:
    return mistake.key.partition(".")[0]


def mistakes(config: Config, reactor: IReactorCore) -> Iterator[ConfigurationError]:
    """Yield all that `check` refuses, in the order of the file that documents the keys."""
    yield from _data_mistakes(config)
    yield from _listen_mistakes(config, reactor)
    yield from _admin_mistakes(config)
    yield from _tls_mistakes(config)
    yield from _command_mistakes(config)
    yield from _redirect_mistakes(config)
    yield from auth_mistakes(config.auth, config.file)


# The port, where it stands first; empty for no port at all.
_PORT: Final = re.compile(r"tcp6?(?::(?:port=)?|$)(?P<port>[^:=]*)(?::|$)")
_PORTS: Final = 65535


def _data_mistakes(config: Config) -> Iterator[ConfigurationError]:
    folder = config.data.folder
    if folder.exists() and not folder.is_dir():
        yield ConfigurationError(
            config.file, "data.folder", f"{folder} is not a folder", "a folder, or a new name"
        )


def _listen_mistakes(config: Config, reactor: IReactorCore) -> Iterator[ConfigurationError]:
    kinds = config.listen.endpoints()
    if not any(kinds.values()):
        keys = " or ".join(f"listen.{kind}" for kind in kinds)
        yield ConfigurationError(
            config.file, "listen", "nothing to listen on", f"one endpoint in {keys}"
        )
    for key, descriptions in config.endpoints().items():
        for description in descriptions:
            problem = _endpoint_problem(description, reactor)
            if problem:
                yield ConfigurationError(
                    config.file,
                    key,
                    f"{description!r} is no endpoint: {problem}",
                    'Twisted endpoint strings without TLS, e.g. "tcp:8000:interface=127.0.0.1"',
                )


def _endpoint_problem(description: str, reactor: Any) -> str | None:  # noqa: ANN401 (as Twisted's)
    if description.startswith("ssl:"):
        return "TLS is listen.https or listen.framed_tls, with the certificate of [tls]"
    port = _PORT.match(description)
    if port and not (port["port"].isdecimal() and int(port["port"]) <= _PORTS):
        return f"the port is not a number from 0 to {_PORTS}"
    try:
        server_endpoint(reactor, description)
    except EndpointError as error:
        return str(error)
    return None


def _admin_mistakes(config: Config) -> Iterator[ConfigurationError]:
    if config.admin.listen and find_spec("prometheus_client") is None:
        yield ConfigurationError(
            config.file,
            "admin.listen",
            "metrics need prometheus_client, which is not installed",
            "an installation with the extra: pip install 'wiredaemon[metrics]'",
        )


def _tls_mistakes(config: Config) -> Iterator[ConfigurationError]:
    tls = config.tls
    if tls.client_ca is not None:
        try:
            check_authorities(tls.client_ca)
        except TlsError as error:
            yield ConfigurationError(
                config.file, "tls.client_ca", str(error), "a PEM file with certificates"
            )
    if tls.certificate is None or tls.private_key is None:
        return
    files = CertificateFiles(certificate=tls.certificate, private_key=tls.private_key)
    try:
        check_pair(files)
    except CertificateError as error:
        yield ConfigurationError(
            config.file,
            "tls.certificate, tls.private_key",
            str(error),
            "a PEM certificate and its own private key, not encrypted",
        )


def _command_mistakes(config: Config) -> Iterator[ConfigurationError]:
    for source in config.commands.load:
        if not source_exists(source):
            yield ConfigurationError(
                config.file,
                "commands.load",
                f"{source} does not exist",
                'a module that can be imported ("package.module"), or a file ("file.py")',
            )


def source_exists(source: Path | str) -> bool:
    """Return whether a file of commands exists, or the outermost package of a module.

    To look inside of a package would run it.
    """
    if isinstance(source, Path):
        return source.is_file()
    return find_spec(source.partition(".")[0]) is not None


def _redirect_mistakes(config: Config) -> Iterator[ConfigurationError]:
    for number, target in enumerate(config.redirect.targets, start=1):
        if target.upload.startswith(S3) and find_spec("boto3") is None:
            yield ConfigurationError(
                config.file,
                f"redirect.targets[{number}].upload",
                "s3:// needs boto3, which is not installed",
                "an installation with the extra: pip install 'wiredaemon[s3]'",
            )
