from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

import pytest
from support.environment import environment

from wiredaemon.daemon.privileges import as_user

NOBODY: Final = pwd.getpwnam("nobody")
AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


@AS_ROOT
def test_files_made_in_the_block_are_the_users_and_root_is_back_behind_it() -> None:
    before = os.geteuid(), os.getegid(), os.getgroups()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        with as_user(NOBODY.pw_uid, None):
            (folder / "made").mkdir()
            # Python itself may lie where the user may not go.
            subprocess.run(["/bin/sh", "-c", ': > "$0"', str(folder / "made" / "file")], check=True)
        for path in (folder / "made", folder / "made" / "file"):
            assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


def test_without_a_user_nothing_changes() -> None:
    with as_user(None, None):
        assert os.geteuid() == os.getuid()


@AS_ROOT
def test_the_user_is_in_all_groups_that_it_is_in_elsewhere() -> None:
    members = {name for group in grp.getgrall() for name in group.gr_mem}
    for user in [NOBODY, *(each for each in pwd.getpwall() if each.pw_name in members)]:
        with as_user(user.pw_uid, None):
            assert {*os.getgroups()} == {*os.getgrouplist(user.pw_name, user.pw_gid)}


@AS_ROOT
def test_twistd_with_a_user_makes_nothing_as_root() -> None:
    twistd = shutil.which("twistd", path=sysconfig.get_path("scripts"))
    assert twistd is not None
    # Not pytest's own folders, which another user may not enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        configuration = folder / "wiredaemon.toml"
        configuration.write_text(
            '[data]\nfolder = "data"\n[listen]\nhttps = ["tcp:0:interface=127.0.0.1"]\n',
            encoding="utf-8",
        )
        command = [twistd, "--nodaemon", "--pidfile=", "--uid=nobody", "wiredaemon"]
        with subprocess.Popen(
            [*command, "--config", str(configuration)],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as daemon:
            assert daemon.stdout is not None
            said = ""
            while "set uid/gid" not in said:
                line = daemon.stdout.readline()
                assert line, said
                said += line
            daemon.terminate()
            said += daemon.communicate()[0]
        made = list((folder / "data").rglob("*"))
        assert made, said
        for path in (folder / "data", *made):
            assert path.stat().st_uid == NOBODY.pw_uid, path
