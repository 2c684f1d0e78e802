"""Files whose names are not ASCII, or no text at all, in what pages and archives send."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING, Final

import pytest
from worker.test_web import Asker

from wiredaemon.worker.odd_names import disposition, readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.conftest import Repository

pytestmark = [
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]

UTF_8: Final = "café.txt".encode()
LATIN_1: Final = "naïve.txt".encode("latin-1")
NO_TEXT: Final = b"\xff\xfe"
QUOTED: Final = 'ü"\\.txt'.encode()
NAMES: Final = (UTF_8, LATIN_1, NO_TEXT, QUOTED)
SHOWN: Final = {"café.txt", "naïve.txt", "ÿþ", 'ü"\\.txt'}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, template: Repository) -> Iterator[Asker]:
    folder = tmp_path_factory.mktemp("odd") / "r\xe4pository"
    repository = type(template)(folder=folder)
    template.hg("init", str(folder))
    for name in NAMES:
        with open(os.path.join(repository.path, name), "wb") as file:  # noqa: PTH118, PTH123 a path in bytes
            file.write(name)
    repository.hg("commit", "-A", "-m", "odd", "-u", "Tést", "-d", "0 0")
    repository.hg("bookmark", "märk")
    repository.hgrc.write_bytes(b"[web]\nallow-archive = zip gz\ndescription = caf\xe9\n")
    asker = Asker(repository)
    yield asker
    asker.kept.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_raw_file_comes_out_under_a_name_that_browsers_read(odd: Asker, name: bytes) -> None:
    answer = odd(b"/raw-file/tip/" + name)
    assert (answer.status, answer.body) == (200, name)
    assert answer.headers[b"Content-Disposition"].isascii()


def test_a_zip_archive_has_all_names_as_text(odd: Asker) -> None:
    answer = odd(b"/archive/tip.zip")
    assert answer.status == 200
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    names = {name.partition("/")[2] for name in archive.namelist()}
    assert names == SHOWN | {".hg_archival.txt"}


@pytest.mark.parametrize("kind", [b"zip", b"tar.gz"])
def test_an_archive_is_named_by_what_was_asked_for(odd: Asker, kind: bytes) -> None:
    answer = odd("/archive/märk.".encode() + kind)
    assert answer.status == 200
    named = answer.headers[b"Content-Disposition"]
    assert named.isascii()
    assert b"m%C3%A4rk." + kind in named
    assert odd("/archive/märk.".encode("latin-1") + kind).status == 404


PAGES: Final = (b"/file/tip/", b"/annotate/tip/", b"/log/tip/", b"/raw-file/tip/", b"/diff/tip/")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "ascii"])
@pytest.mark.parametrize("name", NAMES)
def test_pages_about_it_come_out_in_any_encoding(odd: Asker, name: bytes, encoding: str) -> None:
    hgrc = odd.repository.hgrc
    before = hgrc.read_bytes()
    try:
        hgrc.write_bytes(before + f"encoding = {encoding}\n".encode())
        for page in PAGES:
            assert odd(page + name).status == 200, page
        for page in (b"/", b"/rev/tip", b"/json-rev/tip", b"/json-file/tip/", b"/archive/tip.zip"):
            assert odd(page).status == 200, page
    finally:
        hgrc.write_bytes(before)


def test_a_tar_archive_has_their_bytes(odd: Asker) -> None:
    archive = tarfile.open(fileobj=io.BytesIO(odd(b"/archive/tip.tar.gz").body))  # noqa: SIM115
    names = {os.fsencode(name).partition(b"/")[2] for name in archive.getnames()}
    assert set(NAMES) <= names


@pytest.mark.parametrize(
    "path", [b"/json-rev/nothing\xe9", b"/json-rev/tip", b"/json-summary", b"/json-file/tip/"]
)
def test_pages_for_programs_are_json_whatever_is_in_them(odd: Asker, path: bytes) -> None:
    answer = odd(path)
    assert answer.status == (404 if b"nothing" in path else 200)
    assert json.loads(answer.body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'inline; filename="plain.txt"', b'inline; filename="plain.txt"'),
        (
            b'inline; filename="caf\xc3\xa9.txt"',
            b"inline; filename=\"caf_.txt\"; filename*=UTF-8''caf%C3%A9.txt",
        ),
        (
            b'inline; filename="caf\xe9 \\"\\\\.txt"',
            b'inline; filename="caf_ \\"\\\\.txt"; filename*=UTF-8\'\'caf%C3%A9%20%22%5C.txt',
        ),
        (
            b"attachment; filename=\xff.zip",
            b"attachment; filename=\"_.zip\"; filename*=UTF-8''%C3%BF.zip",
        ),
        (b"\xff", b"?"),
    ],
)
def test_names_in_headers_are_ascii_with_their_text_behind(value: bytes, expected: bytes) -> None:
    assert disposition(b"Content-Disposition", value) == expected


def test_other_headers_stay_as_they_are() -> None:
    assert disposition(b"X-Other", b'filename="\xff"') == b'filename="\xff"'


def test_a_name_is_utf_8_or_of_the_encoding_of_old_changesets() -> None:
    assert [readable(name) for name in (UTF_8, LATIN_1, NO_TEXT)] == ["café.txt", "naïve.txt", "ÿþ"]
