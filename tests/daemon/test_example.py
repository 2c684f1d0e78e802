from __future__ import annotations

from pathlib import Path
from typing import Final

from wiredaemon.daemon.config import Api, Config, Data
from wiredaemon.daemon.example import example_clone, example_command

DATA: Final = Data(folder=Path("/data"))
URL: Final = "http://127.0.0.1:8000/"


def test_the_example_of_a_repository_asks_for_its_heads() -> None:
    config = Config(
        data=DATA,
        api=Api(framings={"exp-http-v2-0003": ("0006",)}),
        paths={"/team/x": Path("/srv/x")},
    )
    assert example_command(config, URL) == (
        r"printf '\014\000\000\001\000\001\001\021\241DnameEheads' | curl -s --data-binary @-"
        " -H 'Accept: application/mercurial-exp-framing-0006'"
        " -H 'Content-Type: application/mercurial-exp-framing-0006'"
        " http://127.0.0.1:8000/team/x/api/exp-http-v2-0003/ro/heads | od -c"
    )


def test_the_example_without_a_repository_asks_for_capabilities_and_trusts_our_certificate() -> (
    None
):
    example = example_command(Config(data=DATA), "https://127.0.0.1:8443/")
    assert "curl -s --insecure" in example
    assert "https://127.0.0.1:8443/api/exp-http-v2-0003/ro/capabilities | od -c" in example


def test_where_only_collections_are_served_the_example_lists_the_first() -> None:
    config = Config(data=DATA, paths={"/my team/*": Path("/srv/hg"), "/other/**": Path("/srv")})
    assert example_command(config, URL) == "curl -s 'http://127.0.0.1:8000/my%20team/?style=raw'"
    call = example_command(config, "hgrpc://127.0.0.1:8010/")
    assert call.endswith(" call hgrpc://127.0.0.1:8010/my%20team/REPOSITORY heads")


def test_the_example_of_a_raw_call_names_a_repository_that_is_served() -> None:
    paths = {"/all/*": Path("/srv/hg"), "/team/x": Path("/srv/x")}
    config = Config(data=DATA, paths=paths)
    call = example_command(config, "hgrpc://127.0.0.1:8010/")
    assert call.endswith(" call hgrpc://127.0.0.1:8010/team/x/ heads")
    call = example_command(Config(data=DATA, paths={"/": Path("/srv/x")}), "hgrpc://h:1/")
    assert call.endswith(" call hgrpc://h:1/ heads")


def test_where_no_api_speaks_request_maps_the_example_shows_the_index() -> None:
    for api in (Api(framings={"exp-http-v2-0001": ("0002",)}), Api(enabled=False)):
        config = Config(data=DATA, api=api)
        assert example_command(config, URL) == "curl -s http://127.0.0.1:8000/api"


def test_the_first_repository_can_be_cloned_over_http() -> None:
    config = Config(data=DATA, paths={"/my team/x": Path("/srv/x")})
    assert example_clone(config, URL) == "hg clone http://127.0.0.1:8000/my%20team/x copy"
    assert example_clone(config, "https://127.0.0.1:8443/") == (
        "hg clone --insecure https://127.0.0.1:8443/my%20team/x copy"
    )
    assert example_clone(config, "hgrpc://127.0.0.1:8010/") is None
    assert example_clone(Config(data=DATA), URL) is None
