"""Turns the configuration of hgwebdir into ours, and says what has no counterpart.

Entries of hgwebdir hold for all its repositories. Those of ``[web]`` that say who may read and
write become ours; most others belong into an hgrc that the workers read, and are printed as such.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_RULES: Final[Mapping[str, str]] = {
    "pushssl": "push_ssl",
    "allowpush": "allow-push",
    "denypush": "deny_push",
    "allowread": "allow_read",
    "denyread": "deny_read",
    "allowpull": "allow-pull",
    "descend": "descend",
    "collapse": "collapse",
}
"""Entries of ``[web]`` that are ours as well; the spelling of hgweb without ``-`` and ``_``."""
_SWITCHES: Final = frozenset({"push_ssl", "allow-pull", "descend", "collapse"})
_WORDS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "yes", "true", "on", "always"), True),
    **dict.fromkeys(("0", "no", "false", "off", "never"), False),
}
"""The booleans as Mercurial reads them."""
_ELSEWHERE: Final[Mapping[str, str]] = {
    "address": "the addresses of [listen]",
    "port": "the addresses of [listen]",
    "ipv6": "the addresses of [listen]",
    "certificate": "[tls]",
    "accesslog": "requests of [log], in the daemon's own log",
    "errorlog": "the daemon's own log",
    "prefix": "the names of [paths]",
    "serverheader": "nothing: Server names the daemon",
    "view": "server.view of a repository's hgrc",
    "refreshinterval": "nothing: new repositories are served at once",
}
"""Entries of ``[web]`` whose place is another one here, or none."""
_STARS: Final = ("*", "**")


class Entry(NamedTuple):
    """An entry of the file, as Mercurial reads it."""

    section: str
    name: str
    value: str
    place: str
    """File and line."""


class Imported(NamedTuple):
    """The outcome for a file of hgwebdir."""

    text: str
    """Our configuration, in TOML."""
    notes: tuple[str, ...]
    """A line for each entry that was left out or needs a look."""


def convert(entries: Iterable[Entry], folder: Path) -> Imported:
    """Convert the entries of an hgwebdir file.

    Args:
        entries: One for each path.
        folder: An absolute path; relative ones in the file are relative to it.
    """
    notes: list[str] = []
    paths: dict[str, str] = {}
    web: dict[str, str] = {}
    rest: dict[str, list[str]] = {}
    for entry in entries:
        if any("\udc80" <= letter <= "\udcff" for part in entry for letter in part):
            notes.append(f"{_shown(entry)}: is not UTF-8 and was left out")
        elif entry.section == "paths":
            _add(paths, _path(entry, folder), entry, notes)
        elif entry.section == "collections":
            _add(paths, _collection(entry, folder), entry, notes)
        elif entry.section != "web" or not _take_rule(web, entry, notes):
            rest.setdefault(entry.section, []).append(f"{entry.name} = {entry.value}")
    if not paths:
        notes.append("no repository is named: neither [paths] nor [collections] has an entry")
    notes += _hgrc(rest)
    return Imported("".join(_toml(paths, web)), tuple(notes))


# --- repositories --------------------------------------------------------------------------------


def _path(entry: Entry, folder: Path) -> tuple[str, str]:
    """Return prefix and folder of an entry of ``[paths]``."""
    target = _absolute(entry.value, folder)
    name = "/" + entry.name.strip("/")
    if Path(target).name in _STARS:
        # Of hgwebdir only the folder has a star.
        name = f"{name.rstrip('/')}/{Path(target).name}"
    return name, target


def _collection(entry: Entry, folder: Path) -> tuple[str, str]:
    """Return prefix and folder of a collection: its paths are shown after a prefix of theirs."""
    root, hidden = _absolute(entry.value, folder), _absolute(entry.name, folder)
    shown = os.path.relpath(root, hidden) if Path(root).is_relative_to(hidden) else root.lstrip("/")
    return ("/*" if shown == "." else f"/{shown}/*"), f"{root}/*"


def _absolute(path: str, folder: Path) -> str:
    expanded = Path(os.path.expandvars(path)).expanduser()
    return os.path.normpath(folder / expanded)


def _add(paths: dict[str, str], path: tuple[str, str], entry: Entry, notes: list[str]) -> None:
    name, target = path
    if paths.setdefault(name, target) == target:
        return
    told = f"{_shown(entry)}: {name} is {paths[name]} already"
    if Path(target).name not in _STARS:
        notes.append(f"{told}, so this one was left out")
        return
    # Of two folders at one path, as hgwebdir may have: there is one collection at a path here.
    notes.append(f"{told}, so the repositories of {target} that there are now have their own lines")
    for found in _repositories(Path(target)):
        own = f"{name.rpartition('/')[0]}/{found.relative_to(Path(target).parent)}"
        paths.setdefault(own, str(found))


def _repositories(target: Path) -> Iterator[Path]:
    """Return the repositories in a folder whose name is followed by a star, or by two."""
    for place, folders, _ in os.walk(target.parent):
        if ".hg" in folders:
            yield Path(place)
            if target.name == _STARS[0]:
                folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))


# --- all else ------------------------------------------------------------------------------------


def _take_rule(web: dict[str, str], entry: Entry, notes: list[str]) -> bool:
    """Take an entry of ``[web]``, unless it belongs into an hgrc."""
    plain = entry.name.replace("-", "").replace("_", "").lower()
    if plain in _ELSEWHERE:
        notes.append(f"{_shown(entry)}: its place here is {_ELSEWHERE[plain]}")
        return True
    name = _RULES.get(plain)
    if name is None:
        return False
    if name not in _SWITCHES:
        web[name] = json.dumps(entry.value, ensure_ascii=False)
    elif (switch := _WORDS.get(entry.value.lower())) is not None:
        web[name] = str(switch).lower()
    else:
        notes.append(f"{_shown(entry)}: neither yes nor no, so the default holds")
    return True


def _shown(entry: Entry) -> str:
    text = f"{entry.place}: [{entry.section}] {entry.name}"
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _hgrc(rest: Mapping[str, list[str]]) -> Iterator[str]:
    """Say where the entries belong that hold for the repositories themselves."""
    if rest:
        yield (
            "the following belongs into an hgrc that the user of the daemon reads, as"
            " /etc/mercurial/hgrc or ~/.hgrc:"
        )
    for section, lines in rest.items():
        yield f"    [{section}]"
        yield from (f"    {line}" for line in lines)


def _toml(paths: Mapping[str, str], web: Mapping[str, str]) -> Iterator[str]:
    yield "# Made by `wiredaemon import-hgweb`. conf/wiredaemon.toml has all keys; those that are\n"
    yield "# left out have their defaults: listeners on loopback, and a development certificate.\n"
    yield '\n[data]\nfolder = "data"\n'
    if web:
        yield "\n[web]\n"
        yield from (f"{name} = {value}\n" for name, value in web.items())
    yield "\n[paths]\n"
    for name, target in paths.items():
        yield f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(target, ensure_ascii=False)}\n"
