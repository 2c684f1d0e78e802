"""Reading the configuration from its TOML file.

Owns the names and types of all keys. Reads nothing but the file itself: endpoints, certificates and
command files that it names are verified by ``check``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.daemon.auth_config import read_auth
from wiredaemon.daemon.config import (
    FRAMINGS,
    LOOPBACK,
    Admin,
    Api,
    Commands,
    Config,
    Data,
    Framed,
    Listen,
    Log,
    Server,
    Tls,
)
from wiredaemon.daemon.proxy_config import read_proxies
from wiredaemon.daemon.public_url_config import read_public_urls
from wiredaemon.daemon.redirect_config import read_redirect
from wiredaemon.daemon.toml_table import ConfigurationError, Table
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.hosting.host_lookup import ListShape
from wiredaemon.net.hosting.moved import MovedPaths
from wiredaemon.wire.dialects import DIALECTS
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def load_config(file: Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigurationError: the file cannot be read, is no TOML, or has an unknown or wrong key.
    """
    file = file.absolute()
    return _config_of(file, _parse(file))


def load_all(file: Path) -> tuple[Config | None, list[ConfigurationError]]:
    """Read a configuration file in spite of what is wrong with it.

    Returns:
        What the file says without its wrong keys, or None where nothing can be said; and all of its
        mistakes, in the order in which they are found.
    """
    file = file.absolute()
    found: list[ConfigurationError] = []
    try:
        values = _parse(file)
    except ConfigurationError as error:
        return None, [error]
    while True:
        try:
            return _config_of(file, values), found
        except ConfigurationError as error:
            found.append(error)
            # Without the key the next mistake shows; each time the file becomes shorter.
            if not _remove(values, error.key):
                return None, found


def _remove(values: dict[str, Any], key: str) -> bool:
    """Remove a key, or the table that it is missing from; return whether there was anything."""
    if key in values:  # also a key of the top that has dots in it
        del values[key]
        return True
    name, _, rest = key.partition(".")
    table = values.get(name)
    if isinstance(table, dict) and table and _remove(table, rest):
        return True
    return values.pop(name, None) is not None


def _config_of(file: Path, values: dict[str, Any]) -> Config:
    top = Table(file, "", values, _TABLES)
    return Config(
        file=file,
        data=_data(top),
        listen=_listen(top),
        admin=_admin(top),
        tls=_tls(top),
        api=_api(top),
        web=_web(web := _web_table(top)),
        lists=ListShape(
            descend=web.boolean("descend", default=_LISTS.descend),
            collapse=web.boolean("collapse", default=_LISTS.collapse),
        ),
        paths=(paths := _paths(top)),
        moved=_moved(top, paths),
        commands=_commands(top),
        log=_log(top),
        server=_server(top),
        redirect=read_redirect(top),
        proxy=read_proxies(top),
        public_urls=read_public_urls(top),
        limits=_limits(top),
        auth=read_auth(top),
    )


_TABLES: Final = (
    "data",
    "listen",
    "admin",
    "tls",
    "api",
    "web",
    "paths",
    "moved",
    "commands",
    "log",
    "server",
    "redirect",
    "proxy",
    "public_urls",
    "limits",
    "auth",
)
_API: Final = Api()
_WEB: Final = AccessRules()
_LISTS: Final = ListShape()
_ENDPOINTS: Final = 'a list of Twisted endpoint strings, e.g. ["tcp:8000:interface=127.0.0.1"]'


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (at byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    raise ConfigurationError(file, "", problem, "a readable TOML file in UTF-8")


def _data(top: Table) -> Data:
    table = top.table("data", _names(Data))
    folder = table.path("folder", "data")
    if folder is None:
        raise table.wrong("folder", "the path of a folder")
    return Data(folder=folder)


def _listen(top: Table) -> Listen:
    # No table at all is the default; an empty one says that nothing is listened on, which `check`
    # refuses.
    if "listen" not in top.values:
        return LOOPBACK
    table = top.table("listen", _names(Listen))
    return Listen(
        http=table.strings("http", _ENDPOINTS),
        https=table.strings("https", _ENDPOINTS),
        framed=_framed(table, "framed"),
        framed_tls=_framed(table, "framed_tls"),
    )


def _admin(top: Table) -> Admin:
    return Admin(listen=top.table("admin", _names(Admin)).strings("listen", _ENDPOINTS))


def _framed(table: Table, key: str) -> tuple[Framed, ...]:
    accepted = f"{_ENDPOINTS}, each perhaps after a dialect: {', '.join(DIALECTS)}"
    listeners: list[Framed] = []
    for entry in table.strings(key, accepted):
        dialect, space, endpoint = entry.partition(" ")
        # An endpoint may hold a space of its own, in the path of a Unix socket.
        if not space or not dialect.isdecimal():
            listeners.append(Framed(entry))
        elif dialect in DIALECTS and endpoint.strip():
            listeners.append(Framed(endpoint.strip(), dialect))
        else:
            raise table.error(key, f"{entry!r} is not accepted", accepted)
    return tuple(listeners)


def _tls(top: Table) -> Tls:
    table = top.table("tls", _names(Tls))
    certificate = table.path("certificate", "")
    private_key = table.path("private_key", "")
    if (certificate is None) != (private_key is None):
        missing = "private_key" if private_key is None else "certificate"
        raise table.error(
            missing,
            "missing, while the other of the pair is given",
            "the paths of both PEM files, or neither for the development certificate",
        )
    return Tls(
        certificate=certificate,
        private_key=private_key,
        client_ca=table.path("client_ca", ""),
    )


def _api(top: Table) -> Api:
    table = top.table("api", _names(Api))
    return Api(
        enabled=table.boolean("enabled", default=_API.enabled),
        http_v2=table.boolean("http_v2", default=_API.http_v2),
        debugreflect=table.boolean("debugreflect", default=_API.debugreflect),
        json=table.boolean("json", default=_API.json),
        framings=_framings(table),
    )


def _framings(api: Table) -> Mapping[str, tuple[str, ...]]:
    if "framings" not in api.values:
        return dict(FRAMINGS)
    table = api.table("framings", FRAMINGS)
    return {name: _framings_of(table, name) for name in table.values}


def _framings_of(table: Table, name: str) -> tuple[str, ...]:
    accepted = f"a list of one or more of {', '.join(sorted(FRAMINGS[name]))}, each once"
    framings = table.strings(name, accepted)
    if not framings or len(set(framings)) < len(framings) or not {*framings} <= {*FRAMINGS[name]}:
        raise table.wrong(name, accepted)
    return framings


def _web_table(top: Table) -> Table:
    rules = {spelling for name in _names(AccessRules) for spelling in _spellings(name)}
    return top.table("web", sorted({*rules, *_names(ListShape)}))


def _web(table: Table) -> AccessRules:
    spellings = {spelling: name for name in _names(AccessRules) for spelling in _spellings(name)}
    keys = {name: name for name in _names(AccessRules)}
    for key in spellings.keys() & table.values.keys():
        name = spellings[key]
        if keys[name] != name or (key != name and name in table.values):
            raise table.error(key, "given twice, in two spellings", "one of them")
        keys[name] = key
    users = 'a list of user names and @groups, or ["*"] for every user'
    return AccessRules(
        push_ssl=table.boolean(keys["push_ssl"], default=_WEB.push_ssl),
        allow_push=table.words(keys["allow_push"], users),
        deny_push=table.words(keys["deny_push"], users),
        allow_read=table.words(keys["allow_read"], users),
        deny_read=table.words(keys["deny_read"], users),
        allow_pull=table.boolean(keys["allow_pull"], default=_WEB.allow_pull),
    )


def _spellings(name: str) -> set[str]:
    """Return the spellings of a key of hgweb: ``allow_pull``, ``allow-pull``, ``allowpull``."""
    # Mercurial has changed its mind about them, and hgrc files have all three (http, section 2).
    return {name, name.replace("_", "-"), name.replace("_", "")}


def _paths(top: Table) -> Mapping[str, Path]:
    table = top.table("paths")
    accepted = (
        '"/" or "/name", segments not empty, "." or "..", no "/" at the end;'
        ' "/*" or "/**" at its end for all repositories of a folder'
    )
    paths: dict[str, Path] = {}
    for prefix in table.values:
        if not _PREFIX.fullmatch(prefix):
            raise table.error(prefix, "this URL prefix is not accepted", accepted)
        stars = prefix[len(prefix.rstrip("*")) :]
        paths[prefix] = _folder_of_repositories(table, prefix, stars)
    return paths


_PREFIX: Final = re.compile(r"/\*{0,2}|(/(?!\.{1,2}(/|$))[^/*?#\s]+)+(/\*{1,2})?")


def _moved(top: Table, paths: Mapping[str, Path]) -> Mapping[str, str]:
    table = top.table("moved")
    accepted = 'old = new, both "/name" or "/name/name", as in [paths] without stars'
    moved: dict[str, str] = {}
    for old, value in table.values.items():
        new = value if isinstance(value, str) else ""
        for path in (old, new):
            if not _PREFIX.fullmatch(path) or path[-1] in "/*":
                raise table.error(old, "this is no path that can have moved", accepted)
        if old in paths:
            raise table.error(old, "a repository is there, by [paths]", accepted)
        moved[old] = new
    for old in filter(MovedPaths(moved).leads_in_a_circle, moved):
        raise table.error(old, "it would move in a circle", accepted)
    return moved


def _folder_of_repositories(table: Table, prefix: str, stars: str) -> Path:
    """Return the folder of an entry: a repository's, or that of a collection."""
    accepted = f'a path that ends in "/{stars}"' if stars else "the path of a repository folder"
    value = table.values[prefix]
    if not isinstance(value, str):
        raise table.wrong(prefix, "a path, as a string")
    folder = value.rstrip("*")
    if not value or value[len(folder) :] != stars or (stars and folder and folder[-1] != "/"):
        raise table.wrong(prefix, accepted)
    return table.resolve(folder)


def _commands(top: Table) -> Commands:
    table = top.table("commands", _names(Commands))
    accepted = 'a list of modules ("package.module") and files ("file.py")'
    return Commands(
        load=tuple(_source(table, item, accepted) for item in table.strings("load", accepted))
    )


def _log(top: Table) -> Log:
    table = top.table("log", _names(Log))
    return Log(requests=table.boolean("requests", default=Log().requests))


def _server(top: Table) -> Server:
    table = top.table("server", _names(Server))
    return Server(drain_seconds=table.number("drain_seconds", Server().drain_seconds))


def _source(table: Table, item: str, accepted: str) -> Path | str:
    if item.endswith(".py"):
        return table.resolve(item)
    if all(part.isidentifier() for part in item.split(".")):
        return item
    raise table.error("load", f"{item!r} is neither a module nor a file", accepted)


def _limits(top: Table) -> Limits:
    # The fields of `Limits` are the keys: a new limit needs no line here.
    defaults = asdict(Limits())
    table = top.table("limits", defaults)
    # Any, for each value has the type of its default.
    values: dict[str, Any] = {key: table.number(key, value) for key, value in defaults.items()}
    return Limits(**values)


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))
