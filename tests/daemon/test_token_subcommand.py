from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.accounts import add_token, write_htpasswd

from wiredaemon.accounts.files import read_text
from wiredaemon.accounts.tokens import StoredToken, find_token, parse_tokens
from wiredaemon.daemon.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def found(file: Path, token: str) -> StoredToken | None:
    return find_token(parse_tokens(file, read_text(file)), token.encode())


def test_a_token_is_printed_once_and_only_its_hash_is_kept(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "create", "--file", str(file), "ann"]) == 0
    output, errors = capsys.readouterr()
    token = output.strip()
    stored = found(file, token)
    assert stored is not None
    assert (stored.user, stored.read_only, stored.expires) == ("ann", False, None)
    assert token not in file.read_text()
    assert token not in errors
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_may_be_read_only_and_expire(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["token", "create", "--file", str(file), "ann", "--read-only", "--expires", "30d"]
    before = datetime.now(UTC).replace(microsecond=0)
    assert main(arguments) == 0
    stored = found(file, capsys.readouterr().out.strip())
    assert stored is not None
    assert stored.expires is not None
    assert stored.read_only
    assert before <= stored.expires - timedelta(days=30) <= datetime.now(UTC)


def test_list_prints_all_but_the_secrets(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, one = add_token(file, "ann", read_only=True, expires=datetime(2020, 1, 2, tzinfo=UTC))
    _, two = add_token(file, "bob.the.builder")
    assert main(["token", "list", "--file", str(file)]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert output.splitlines() == [
        "ID        USER             RIGHTS      EXPIRES",
        f"{one.id}  ann              read-only   2020-01-02 00:00 UTC (expired)",
        f"{two.id}  bob.the.builder  read-write  never",
    ]


def test_a_revoked_token_is_gone_and_all_else_stays(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("# for the robots\n")
    one, stored = add_token(file, "ann")
    two, _ = add_token(file, "bob")
    assert main(["token", "revoke", "--file", str(file), stored.id]) == 0
    assert capsys.readouterr() == (f"revoked {stored.id} in {file}\n", "")
    assert file.read_text().startswith("# for the robots\n")
    assert found(file, one.decode()) is None
    assert found(file, two.decode()) is not None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["revoke", "00000000"], "there is no token 00000000 in "),
        (["create", "a b"], "a name has no white space, colon or comma"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    add_token(file, "ann")
    before = file.read_text()
    assert main(["token", *arguments, "--file", str(file)]) == 1
    output, errors = capsys.readouterr()
    assert (output, problem in errors) == ("", True)
    assert file.read_text() == before


def test_a_wrong_file_is_an_error_with_its_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("# tokens\nnonsense\n")
    for arguments in (["create", "ann"], ["list"], ["revoke", "00000000"]):
        assert main(["token", *arguments, "--file", str(file)]) == 1
        assert f"{file} line 2: a line is ID USER sha256:HASH" in capsys.readouterr().err
    assert file.read_text() == "# tokens\nnonsense\n"


def test_a_name_without_a_password_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "a.toml"
    config.write_text('[auth]\nhtpasswd = "users"\ntokens = "tokens"\n')
    write_htpasswd(tmp_path / "users", ann="a")
    for name, is_noted in (("ann", False), ("anne", True)):
        assert main(["token", "create", "--config", str(config), name]) == 0
        assert (f"{name} is not in " in capsys.readouterr().err) == is_noted
