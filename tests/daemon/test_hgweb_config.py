"""What becomes of each entry of hgwebdir's configuration."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from wiredaemon.daemon.hgweb_config import Entry, Imported, convert

HGRC: Final = (
    "the following belongs into an hgrc that the user of the daemon reads, as"
    " /etc/mercurial/hgrc or ~/.hgrc:"
)
FOLDER: Final = Path("/etc/hgweb")


def converted(*entries: tuple[str, str, str]) -> Imported:
    placed = [Entry(*entry, f"hgweb.config:{line}") for line, entry in enumerate(entries, 1)]
    return convert(placed, FOLDER)


def read(*entries: tuple[str, str, str]) -> dict[str, Any]:
    return tomllib.loads(converted(*entries).text)


@pytest.mark.parametrize(
    ("name", "value", "prefix", "folder"),
    [
        ("one", "/srv/one", "/one", "/srv/one"),
        ("/team/one/", "/srv/one/", "/team/one", "/srv/one"),
        ("/", "/srv/one", "/", "/srv/one"),
        ("one", "one", "/one", "/etc/hgweb/one"),
        ("one", "../one", "/one", "/etc/one"),
        ("team", "/srv/*", "/team/*", "/srv/*"),
        ("/team", "/srv/**", "/team/**", "/srv/**"),
        ("/", "/srv/hg/*", "/*", "/srv/hg/*"),
        ("", "/srv/hg/**", "/**", "/srv/hg/**"),
        ("one", "$PLACE/one", "/one", "/elsewhere/one"),
        ("one", "~/one", "/one", "/some/home/one"),
        ('q"ü', "/srv/ü", '/q"ü', "/srv/ü"),
    ],
)
def test_paths(
    name: str, value: str, prefix: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "/elsewhere")
    monkeypatch.setenv("HOME", "/some/home")
    assert read(("paths", name, value))["paths"] == {prefix: folder}


@pytest.mark.parametrize(
    ("hidden", "root", "prefix", "folder"),
    [
        ("/srv/hg", "/srv/hg", "/*", "/srv/hg/*"),
        ("/srv", "/srv/hg/team", "/hg/team/*", "/srv/hg/team/*"),
        ("/other", "/srv/hg", "/srv/hg/*", "/srv/hg/*"),
    ],
)
def test_collections(hidden: str, root: str, prefix: str, folder: str) -> None:
    assert read(("collections", hidden, root))["paths"] == {prefix: folder}


@pytest.mark.parametrize(
    ("name", "value", "key", "shown"),
    [
        ("allow_push", "*", "allow-push", "*"),
        ("allow-push", "ann, bob", "allow-push", "ann, bob"),
        ("allowpull", "no", "allow-pull", False),
        ("push_ssl", "Off", "push_ssl", False),
        ("push_ssl", "1", "push_ssl", True),
        ("deny_push", "eve", "deny_push", "eve"),
        ("allow_read", "ann", "allow_read", "ann"),
        ("denyread", "eve", "deny_read", "eve"),
        ("descend", "no", "descend", False),
        ("collapse", "true", "collapse", True),
    ],
)
def test_who_may_do_what(name: str, value: str, key: str, shown: object) -> None:
    assert read(("web", name, value), ("paths", "a", "/a"))["web"] == {key: shown}


def test_a_second_repository_at_a_path_is_left_out_and_named() -> None:
    imported = converted(("paths", "a", "/one"), ("paths", "/a", "/two"), ("paths", "a", "/one"))
    assert tomllib.loads(imported.text)["paths"] == {"/a": "/one"}
    assert imported.notes == (
        "hgweb.config:2: [paths] /a: /a is /one already, so this one was left out",
    )


def test_what_has_another_place_or_none_is_named() -> None:
    imported = converted(
        ("web", "port", "80"),
        ("web", "push_ssl", "maybe"),
        ("web", "style", "gitweb"),
        ("web", "server-header", "mine"),
        ("hooks", "changegroup", "true"),
        ("web", "contact", "ann"),
    )
    assert tomllib.loads(imported.text) == {"data": {"folder": "data"}, "paths": {}}
    assert imported.notes == (
        "hgweb.config:1: [web] port: its place here is the addresses of [listen]",
        "hgweb.config:2: [web] push_ssl: neither yes nor no, so the default holds",
        "hgweb.config:4: [web] server-header: its place here is nothing: Server names the daemon",
        "no repository is named: neither [paths] nor [collections] has an entry",
        HGRC,
        "    [web]",
        "    style = gitweb",
        "    contact = ann",
        "    [hooks]",
        "    changegroup = true",
    )


def test_names_that_no_configuration_of_ours_can_hold_are_left_out() -> None:
    imported = converted(("paths", "a\udce9", "/one"), ("paths", "b", "/two"))
    assert tomllib.loads(imported.text)["paths"] == {"/b": "/two"}
    assert imported.notes == ("hgweb.config:1: [paths] a\ufffd: is not UTF-8 and was left out",)
