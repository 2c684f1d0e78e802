"""``[proxy]``: whose word counts."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.http.proxies import ForwardedHeaders, Proxies

if TYPE_CHECKING:
    from pathlib import Path


def proxies(folder: Path, text: str) -> Proxies | None:
    file = folder / "test.toml"
    file.write_text(text, "utf-8")
    return load_config(file).proxy


@pytest.mark.parametrize("text", ["", "[proxy]", '[proxy]\ntrusted = []\nuser_header = "X-User"'])
def test_by_default_nobody_is_trusted(tmp_path: Path, text: str) -> None:
    assert proxies(tmp_path, text) is None


def test_addresses_networks_and_unix_sockets_can_be_trusted(tmp_path: Path) -> None:
    text = '[proxy]\ntrusted = ["10.0.0.1", "fd00::/8", "unix"]\nheaders = "forwarded"\n'
    assert proxies(tmp_path, text + 'user_header = "X-Remote-User"') == Proxies(
        networks=(ip_network("10.0.0.1"), ip_network("fd00::/8")),
        unix=True,
        headers=ForwardedHeaders.FORWARDED,
        user_header=b"X-Remote-User",
    )
    assert proxies(tmp_path, '[proxy]\ntrusted = ["::1"]') == Proxies(networks=(ip_network("::1"),))


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ('trusted = ["localhost"]', "proxy.trusted", "localhost"),
        ('trusted = ["10.0.0.1/8"]', "proxy.trusted", "10.0.0.1/8"),
        ('trusted = "10.0.0.1"', "proxy.trusted", "10.0.0.1"),
        ('headers = "both"', "proxy.headers", "both"),
        ("headers = 1", "proxy.headers", "1"),
        ("headers = []", "proxy.headers", "[]"),
        ('user_header = "X User"', "proxy.user_header", "X User"),
        ('user_header = "Authorization"', "proxy.user_header", "Authorization"),
        ('user_header = "X-Forwarded-For"', "proxy.user_header", "X-Forwarded-For"),
        ("user_header = true", "proxy.user_header", "true"),
        ("header = 1", "proxy.header", "unknown"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, key: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        proxies(tmp_path, f"[proxy]\n{text}")
    assert caught.value.key == key
    assert problem in caught.value.problem
