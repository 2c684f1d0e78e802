"""Requests that make no sense, to a real daemon: words, no paths, little in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from support.configuration import configuration
from support.daemon import Daemon
from support.repositories import make_repository, run_hg, write_hgrc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_LOGGED: Final = 1500
"""Characters of the log that one request may cost."""

REFUSED: Final = (
    "/log?rev=" + "(" * 4000,
    "/log?rev=" + "not+" * 1000 + "a",
    "/log?rev=" + "a::" * 1200,
    "/log?rev=" + "-" * 4000,
    "/comparison/0/a?context=x",
    "/filelog/0/a?linerange=1:x",
    "/?cmd=lookup",
    "/?cmd=known&nodes=zz",
    "/?cmd=between&pairs=" + "g" * 3000,
    "/?cmd=branches&nodes=x",
    "/?cmd=changegroup&roots=x",
    "/?cmd=changegroupsubset&bases=x&heads=y",
    "/?cmd=getbundle&heads=x",
    "/?cmd=getbundle&bundlecaps=HG20&heads=" + "0" * 40 + "&common=" + "x" * 3000,
    "/?cmd=batch",
    "/?cmd=batch&cmds=" + "heads+;" * 500,
    "/?cmd=listkeys",
    "/?cmd=get_cached_bundle_inline&path=/etc/passwd",
    "/?cmd=get_cached_bundle_inline&path=" + "%00" * 1000,
    "/?cmd=nosuch" + "x" * 3000,
    "/?cmd=debugwireargs",
)
ANSWERED: Final = (
    "/log?rev=" + "x" * 3900,
    "/log/0?revcount=" + "9" * 4000,
    "/log?revcount=x",
    "/shortlog?style=../../../etc",
    "/rev/" + "%ff" * 1300,
    "/file/0/" + "%ff" * 1300,
    "/file/0/%00",
    "/diff/0/" + "a/" * 1900,
    "/graph?graphtop=" + "(" * 3000,
    "/archive/zz",
    "/help/" + "x" * 3000,
    "/?cmd=lookup&key=" + "%ff" * 1300,
    "/?cmd=listkeys&namespace=" + "%ff" * 1000,
)
"""Requests that are answered, or whose page is not found."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    folder = tmp_path_factory.mktemp("refusals")
    repository = make_repository(folder / "repository")
    (repository / "a").write_text("content\n")
    run_hg("commit", "-A", "-m", "one", "-u", "test", "-d", "0 0", folder=repository)
    write_hgrc(repository, "[web]\nallow-archive = zip\n")
    text = configuration(
        data=folder / "data",
        framings={"exp-http-v2-0003": ("0006",)},
        repository=repository,
        load=(),
    )
    with Daemon.start(text.replace("false", "true"), folder) as running:
        yield running, folder


@pytest.mark.parametrize("target", [*REFUSED, *ANSWERED], ids=lambda target: target[:32])
def test_no_request_makes_us_say_or_log_too_much(daemon: tuple[Daemon, Path], target: str) -> None:
    running, folder = daemon
    before = len(running.log)
    with running.connect() as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        response = connection.exchange(head.encode())
    if target in REFUSED:
        assert response.status == 400
    assert response.status < 500
    assert str(folder).encode() not in response.wire
    assert b"Traceback" not in response.wire
    # The next answer comes behind all that was logged for this one.
    with running.connect() as connection:
        connection.exchange(b"GET /?cmd=heads HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert len(running.log) - before < MOST_LOGGED
    assert "Traceback" not in running.log[before:]
