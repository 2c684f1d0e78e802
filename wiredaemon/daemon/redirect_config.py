"""The ``[redirect]`` table of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from wiredaemon.daemon.toml_table import Table
from wiredaemon.net.cache.targets import PUT, S3, Target

if TYPE_CHECKING:
    from collections.abc import Callable

_TARGET: Final = tuple(one.name for one in fields(Target))
_DEFAULT: Final = Target(name="", url="", upload="")
# Those that Mercurial's clients compare with their own (commands, section 4.3).
_TLS_VERSIONS: Final = ("1.0", "1.1", "1.2", "1.3")
_URL: Final = "an http: or https: URL, to which the names of objects are appended"
_UPLOAD: Final = '"put:URL" or "s3://bucket/prefix", to which the names of objects are appended'
_NAME: Final = "a name of printable ASCII, another one for each target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The redirect targets for large answers, and how they are used."""

    targets: tuple[Target, ...] = ()
    """The targets, the preferred one first."""


def read_redirect(top: Table) -> Redirect:
    """Read the table.

    Raises:
        ConfigurationError: A key is unknown, missing or wrong.
    """
    table = top.table("redirect", ("targets",))
    listed = table.values.get("targets", [])
    if not isinstance(listed, list):
        raise table.wrong("targets", "tables: [[redirect.targets]]")
    targets: list[Target] = []
    for number, values in enumerate(listed, start=1):
        entry = Table(table.file, f"redirect.targets[{number}]", values, _TARGET)
        target = _read_target(entry)
        if any(target.name == other.name for other in targets):
            raise entry.error("name", f"{target.name!r} is given twice", _NAME)
        targets.append(target)
    return Redirect(targets=tuple(targets))


def _read_target(table: Table) -> Target:
    is_s3 = str(table.values.get("upload", "")).startswith(S3)
    for key in ("endpoint_url", "region"):
        if key in table.values and not is_s3:
            raise table.error(key, "only for an upload to s3://", "leaving it out")
    return Target(
        name=_text(table, "name", _NAME, _is_name),
        url=_text(table, "url", _URL, _is_url),
        upload=_text(table, "upload", _UPLOAD, _is_upload),
        endpoint_url=_text(table, "endpoint_url", "the URL of the service", _is_url, default=""),
        region=_text(table, "region", "the name of a region", _is_name, default=""),
        tls_versions=_tls_versions(table),
        sni_required=(
            table.boolean("sni_required", default=False) if "sni_required" in table.values else None
        ),
        min_size=int(table.number("min_size", _DEFAULT.min_size)),
        fresh_seconds=table.number("fresh_seconds", _DEFAULT.fresh_seconds),
        bundles=table.boolean("bundles", default=_DEFAULT.bundles),
    )


def _text(
    table: Table,
    key: str,
    accepted: str,
    is_accepted: Callable[[str], bool],
    default: str | None = None,
) -> str:
    if key not in table.values:
        if default is None:
            raise table.error(key, "missing", accepted)
        return default
    value = table.values[key]
    if not isinstance(value, str) or not is_accepted(value):
        # Not repeated: an address may hold a password.
        raise table.error(key, "not accepted as it is", accepted)
    return value


def _is_name(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return is_plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_upload(text: str) -> bool:
    if text.startswith(S3):
        return bool(text.removeprefix(S3).partition("/")[0])
    return text.startswith(PUT) and _is_url(text.removeprefix(PUT))


def _tls_versions(table: Table) -> tuple[str, ...]:
    accepted = f"a list of {', '.join(_TLS_VERSIONS)}"
    versions = table.strings("tls_versions", accepted)
    if not set(versions) <= set(_TLS_VERSIONS):
        raise table.wrong("tls_versions", accepted)
    return versions
