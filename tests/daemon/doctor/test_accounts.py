from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from support.accounts import quick_hash, write_htpasswd

from wiredaemon.accounts.config import AuthConfig
from wiredaemon.accounts.tokens import make_token
from wiredaemon.daemon.config import Config, Data, Tls
from wiredaemon.daemon.doctor.accounts import MOST_LINES, examine_accounts, examine_secrets
from wiredaemon.daemon.doctor.finding import Level, error, fine

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime.now(UTC)


def config_of(tmp_path: Path, **files: Path) -> Config:
    auth = replace(AuthConfig(), **files)  # type: ignore[arg-type] # files only
    return Config(data=Data(folder=tmp_path), auth=auth)


def test_files_that_can_be_used_say_what_they_hold(tmp_path: Path) -> None:
    htpasswd = write_htpasswd(tmp_path / "users", ann="a", ben="b")
    tokens, groups = tmp_path / "tokens", tmp_path / "groups"
    made = [make_token("ann")[1], make_token("ben", expires=NOW - timedelta(days=1))[1]]
    tokens.write_text("".join(f"{each.encode()}\n" for each in made))
    groups.write_text("# who\nteam: ann ben\n")
    config = config_of(tmp_path, htpasswd=htpasswd, tokens=tokens, groups=groups)
    assert list(examine_accounts(config, NOW)) == [
        fine("auth.htpasswd", f"{htpasswd} can be used: 2 users, all hashes of bcrypt"),
        fine("auth.tokens", f"{tokens} can be used: 2 tokens, 1 of them expired"),
        fine("auth.groups", f"{groups} can be used: 1 groups"),
    ]


def test_every_wrong_line_behind_the_first_is_named_with_the_kind_of_its_hash(
    tmp_path: Path,
) -> None:
    file = tmp_path / "users"
    good = quick_hash(b"secret")
    file.write_text(f"ann\nben:$apr1$a$b\n\ncay:{good}\n# no\ndan:{{SHA}}x\n")
    found = list(examine_accounts(config_of(tmp_path, htpasswd=file), NOW))
    assert [each.text.partition(" cannot be used: ")[2][:33] for each in found] == [
        "this is a hash of the kind MD5; m",
        "this is a hash of the kind SHA-1;",
    ]
    assert [each.text.partition(":")[0] for each in found] == [f"{file} line 2", f"{file} line 6"]
    assert {each.level for each in found} == {Level.ERROR}


def test_the_wrong_lines_that_are_named_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("wrong\n" * (MOST_LINES + 10))
    found = list(examine_accounts(config_of(tmp_path, htpasswd=file), NOW))
    assert len(found) == MOST_LINES + 1
    assert found[-1] == error(
        "auth.htpasswd",
        f"{file}: more than {MOST_LINES} lines are wrong",
        "mend those that are named first",
    )


@pytest.mark.parametrize(
    ("mode", "remedies"),
    [
        (0o600, []),
        (0o640, []),
        (0o644, ["chmod o-rwx {}"]),
        (0o602, ["chmod o-w {}"]),
        (0o606, ["chmod o-rwx {}", "chmod o-w {}"]),
    ],
)
def test_secrets_that_everybody_may_read_or_write_are_found(
    tmp_path: Path, mode: int, remedies: list[str]
) -> None:
    file, other = tmp_path / "key.pem", tmp_path / "a.toml"
    for each in (file, other):
        each.touch()
    file.chmod(mode)
    other.chmod(0o644)
    tls = Tls(certificate=other, private_key=file)
    config = Config(file=other, data=Data(folder=tmp_path), tls=tls)
    found = list(examine_secrets(config))
    assert [each.remedy for each in found] == [each.format(file) for each in remedies]
    assert {(each.area, each.level) for each in found} <= {("tls.private_key", Level.WARNING)}


def test_a_configuration_that_everybody_may_write_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.touch()
    file.chmod(0o666)
    (found,) = examine_secrets(Config(file=file, data=Data(folder=tmp_path)))
    assert (found.area, found.remedy) == ("configuration", f"chmod o-w {file}")
