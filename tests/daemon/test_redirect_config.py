from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from twisted.internet.task import Clock

from wiredaemon.daemon import check as check_module
from wiredaemon.daemon.check import check
from wiredaemon.daemon.config_file import load_config
from wiredaemon.daemon.redirect_config import Redirect
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.cache.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from wiredaemon.daemon.config import Config

SHIPPED: Final = Path(__file__).resolve().parents[2] / "conf" / "wiredaemon.toml"
PLAIN: Final = """
name = "cdn"
url = "https://cdn.example.org/hg/"
upload = "put:http://127.0.0.1:8081/hg/"
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Config]:
    """Loads a text as a configuration file."""

    def load(text: str) -> Config:
        file = tmp_path / "test.toml"
        file.write_text(text, "utf-8")
        return load_config(file)

    return load


def test_none_is_the_default(load: Callable[[str], Config]) -> None:
    assert load("").redirect == Redirect(targets=())
    assert load("[redirect]\ntargets = []").redirect == Redirect(targets=())


def test_a_target_has_defaults(load: Callable[[str], Config]) -> None:
    assert load(f"[[redirect.targets]]{PLAIN}").redirect.targets == (
        Target(
            name="cdn",
            url="https://cdn.example.org/hg/",
            upload="put:http://127.0.0.1:8081/hg/",
            endpoint_url="",
            region="",
            tls_versions=(),
            sni_required=None,
            min_size=1024 * 1024,
            fresh_seconds=3600.0,
        ),
    )


def test_every_key_of_a_target_is_read(load: Callable[[str], Config]) -> None:
    text = f"""
    [[redirect.targets]]
    name = "s3"
    url = "https://bucket.example.org/answers/"
    upload = "s3://bucket/answers/"
    endpoint_url = "http://127.0.0.1:9000"
    region = "eu-central-1"
    tls_versions = ["1.2", "1.3"]
    sni_required = true
    min_size = 10
    fresh_seconds = 60
    bundles = true
    [[redirect.targets]]{PLAIN}
    """
    first, second = load(text).redirect.targets
    assert first == Target(
        name="s3",
        url="https://bucket.example.org/answers/",
        upload="s3://bucket/answers/",
        endpoint_url="http://127.0.0.1:9000",
        region="eu-central-1",
        tls_versions=("1.2", "1.3"),
        sni_required=True,
        min_size=10,
        fresh_seconds=60.0,
        bundles=True,
    )
    assert second.name == "cdn"


def test_the_shipped_file_shows_every_key_of_a_target(load: Callable[[str], Config]) -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    start = lines.index("# [[redirect.targets]]")
    shown = [line[2:] for line in lines[start:] if re.match(r"# (\[\[|[a-z_]+ = )", line)]
    (target,) = load(
        "\n".join(line for line in shown if "endpoint" not in line).replace('region = ""', "")
    ).redirect.targets
    assert {line.partition(" ")[0] for line in shown[1:]} == set(asdict(target))
    assert (target.min_size, target.fresh_seconds) == (1024 * 1024, 3600.0)


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("[redirect]\ntargets = 1", "redirect.targets", "1 is not accepted"),
        ("[redirect]\ntargets = [1]", "redirect.targets[1]", "1 is not a table"),
        ("[redirect]\nother = 1", "redirect.other", "unknown key"),
        (f"[[redirect.targets]]{PLAIN}other = 1", "redirect.targets[1].other", "unknown key"),
        ("[[redirect.targets]]\nurl = 'http://a/'", "redirect.targets[1].name", "missing"),
        (
            f"[[redirect.targets]]{PLAIN}[[redirect.targets]]{PLAIN}",
            "redirect.targets[2].name",
            "'cdn' is given twice",
        ),
        (f"[[redirect.targets]]{PLAIN}region = 'x'", "redirect.targets[1].region", "only for"),
        (
            f"[[redirect.targets]]{PLAIN}tls_versions = ['1.4']",
            "redirect.targets[1].tls_versions",
            "not accepted",
        ),
        (
            f"[[redirect.targets]]{PLAIN}min_size = -1",
            "redirect.targets[1].min_size",
            "not accepted",
        ),
    ],
)
def test_a_wrong_key_is_named(
    load: Callable[[str], Config], text: str, key: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert caught.value.key == key
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""),
        ("name", "é"),
        ("url", "ftp://example.org/"),
        ("url", "https:///hg/"),
        ("url", "https://example.org:x/"),
        ("url", "https://example.org/a b"),
        ("upload", "http://secret@example.org/"),
        ("upload", "put:secret"),
        ("upload", "s3:///secret"),
    ],
)
def test_a_wrong_address_is_not_repeated(
    load: Callable[[str], Config], key: str, value: str
) -> None:
    lines = [line for line in PLAIN.splitlines() if not line.startswith(f"{key} =")]
    with pytest.raises(ConfigurationError) as caught:
        load("\n".join(["[[redirect.targets]]", *lines, f"{key} = '{value}'"]))
    assert caught.value.key == f"redirect.targets[1].{key}"
    assert "secret" not in str(caught.value)


def test_s3_needs_its_extra(load: Callable[[str], Config], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n[listen]\nhttp = ['tcp:0']\n[[redirect.targets]]" + PLAIN.replace(
        "put:http://127.0.0.1:8081/hg/", "s3://bucket/hg/"
    )
    config = load(text)
    reactor = Clock()
    check(config, reactor)  # type: ignore[arg-type]
    monkeypatch.setattr(check_module, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError) as caught:
        check(config, reactor)  # type: ignore[arg-type]
    assert caught.value.key == "redirect.targets[1].upload"
    assert "wiredaemon[s3]" in caught.value.accepted
