"""``[public_urls]``: the URLs by which clients know what is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.http.public_urls import PublicUrl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def public_urls(folder: Path, text: str) -> Mapping[str, PublicUrl]:
    file = folder / "test.toml"
    file.write_text(text, "utf-8")
    return load_config(file).public_urls


def test_by_default_there_is_none(tmp_path: Path) -> None:
    assert public_urls(tmp_path, "") == public_urls(tmp_path, "[public_urls]") == {}


def test_each_path_has_a_url(tmp_path: Path) -> None:
    text = '[public_urls]\n"/" = "https://hg.example.org/a/b/"\n"/team/x" = "http://[::1]:81"'
    assert public_urls(tmp_path, text) == {
        "/": PublicUrl(scheme=b"https", host=b"hg.example.org", port=443, path=b"/a/b"),
        "/team/x": PublicUrl(scheme=b"http", host=b"[::1]", port=81),
    }


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ('"team" = "https://a"', "public_urls.team", "path is not accepted"),
        ('"/*" = "https://a"', "public_urls./*", "path is not accepted"),
        ('"/a/" = "https://a"', "public_urls./a/", "path is not accepted"),
        ('"/.." = "https://a"', "public_urls./..", "path is not accepted"),
        ('"/" = "hg.example.org"', "public_urls./", "'hg.example.org'"),
        ('"/" = "https://a?b"', "public_urls./", "'https://a?b'"),
        ('"/" = ["https://a"]', "public_urls./", "['https://a']"),
        ('"/" = 1', "public_urls./", "1 is not accepted"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, key: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        public_urls(tmp_path, f"[public_urls]\n{text}")
    assert caught.value.key == key
    assert problem in caught.value.problem
    assert "https://host" in caught.value.accepted
