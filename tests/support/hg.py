"""Real `hg` clients of more than one release, and what a repository looks like to people.

Owns running the programs, each with a deadline and without anybody's own configuration, and a view
of a repository that can be compared whole: what `hg log`, `hg bookmarks`, `hg tags` say.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from support.environment import LOOPBACK, client_environment
from support.loaded_hg import loaded_hg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

DEADLINE: Final = 120.0
"""Seconds for one command before the test fails."""

V2: Final = ("--config", "experimental.httppeer.advertise-v2=true")
"""Lets `hg` 4.8 to 6.0 use version 2 where a server has it."""

_CHANGESET: Final = (
    "{dict(node, author, desc, branch, phase, parents=dict(p1node, p2node), date=date|hgdate,"
    " manifest=manifest % '{node}', extras=extras % '{key}={value|stringescape}',"
    " files=files % '{file}', copies=file_copies % '{source} > {name}', bookmarks=bookmarks,"
    " tags=tags)|json}\n"
)


class HgError(Exception):
    """A command ended with an error; `output` is all that it printed."""

    def __init__(self, command: Sequence[str], code: int, output: bytes) -> None:
        """Make the message from the command and its exit status."""
        text = output.decode("utf-8", "backslashreplace")
        super().__init__(f"hg {' '.join(command)}: exit code {code}\n{text[-4000:]}")
        self.code = code
        self.output = output


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The content of a repository as `hg` prints it; two with the same content are equal."""

    changesets: Mapping[str, Any]
    """Node to everything that `hg log` says about it, phase included."""
    heads: frozenset[str]
    bookmarks: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hg:
    """A release of Mercurial."""

    command: tuple[str, ...]

    def popen(
        self, *arguments: str, folder: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command; its output and errors are one pipe.

        Args:
            arguments: Behind the program's name.
            folder: Where it runs.
            variables: Its environment, if it is another one than `client_environment`.
        """
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=folder,
            env=client_environment() if variables is None else variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str, folder: Path, deadline: float = DEADLINE) -> bytes:
        """Return what a command prints, to both outputs.

        Raises:
            HgError: It ended with an error.
            TimeoutError: It did not end, and was killed.
        """
        code, output = loaded_hg(self.command).run(arguments, folder=folder, deadline=deadline)
        if code != 0:
            raise HgError(arguments, code, output)
        return output

    def refusal(self, *arguments: str, folder: Path) -> bytes:
        """Return what a command prints that must end with an error.

        Raises:
            AssertionError: It has succeeded.
        """
        try:
            output = self.run(*arguments, folder=folder)
        except HgError as error:
            return error.output
        raise AssertionError(f"hg {' '.join(arguments)} succeeded:\n{output!r}")

    def text(self, *arguments: str, folder: Path) -> str:
        """Return what a command prints, as text."""
        return self.run(*arguments, folder=folder).decode("utf-8")

    def nodes(self, revisions: str, *, folder: Path) -> list[str]:
        """Return the nodes of revisions, in hg's order."""
        return self.text("log", "-r", revisions, "-T", "{node}\n", folder=folder).split()

    def view(self, folder: Path, revisions: str = "all()") -> View:
        """Return what a repository says of some revisions, and of what points at them."""
        lines = self.text("log", "-r", revisions, "-T", _CHANGESET, folder=folder).splitlines()
        changesets = {one["node"]: one for one in map(json.loads, lines)}
        named: dict[str, dict[str, str]] = {}
        for kind in ("bookmarks", "tags"):
            names = {node: one.pop(kind) for node, one in changesets.items()}
            named[kind] = {name: node for node, given in names.items() for name in given}
        named["tags"].pop("tip", None)
        parents = {node for one in changesets.values() for node in one["parents"].values()}
        return View(changesets=changesets, heads=frozenset(changesets.keys() - parents), **named)

    def verify(self, folder: Path) -> None:
        """Let `hg` check every byte of a repository.

        Raises:
            HgError: It is damaged.
            AssertionError: There was something to say about it.
        """
        output = self.run("verify", folder=folder)
        assert b"warning" not in output, output
        assert b"checked" in output, output


HG7: Final = Hg((sys.executable, "-m", "mercurial"))
"""The installed package, as the daemon's workers use it."""


def copy_repository(source: Path, target: Path) -> Path:
    """Copy a repository, so that a change of one is none of the other, and return the copy."""
    shutil.copytree(source, target, symlinks=True)
    return target


def read_tree(folder: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return each file below a folder, but for Mercurial's own: kind and content by path.

    The kind is `x`, `l` or nothing, as in manifests; what a link points at is its content.
    """
    tree: dict[bytes, tuple[str, bytes]] = {}
    top = os.fsencode(folder)
    for where, folders, files in os.walk(top):
        if where == top:
            folders[:] = [name for name in folders if name != b".hg"]
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]  # noqa: PTH114, PTH118 pathlib takes no bytes
        for name in [*files, *links]:
            path = os.path.join(where, name)  # noqa: PTH118 the same
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                kind, content = "l", os.readlink(path)  # noqa: PTH115 the same
            else:
                kind = "x" if mode & stat.S_IXUSR else ""
                with open(path, "rb") as file:  # noqa: PTH123 the same
                    content = file.read()
            tree[os.path.relpath(path, top)] = (kind, content)
    return tree


@contextmanager
def hg_serve(
    hg: Hg, folders: Mapping[str, Path], folder: Path, *, variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Let `hg serve` serve repositories, writing included, of 6.0 version 2 too; gives its URL.

    Args:
        hg: The release.
        folders: Repositories by name, which is also the path below the URL.
        folder: For its own files; it exists.
        variables: As of `Hg.popen`.

    Raises:
        HgError: It did not start.
    """
    file = folder / "hgweb.conf"
    paths = "".join(f"/{name} = {path}\n" for name, path in folders.items())
    file.write_text(f"[web]\nallow-push = *\npush_ssl = no\n[paths]\n{paths}", "utf-8")
    switches = ("experimental.web.apiserver=yes", "experimental.web.api.http-v2=yes")
    with hg_serve_configured(hg, file, folder, switches, variables=variables) as url:
        yield url


@contextmanager
def hg_serve_configured(
    hg: Hg,
    file: Path,
    folder: Path,
    switches: Sequence[str] = (),
    *,
    variables: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Let `hg serve` serve what a file of hgwebdir names; gives its URL.

    Args:
        hg: The release.
        file: The configuration.
        folder: For its own files; it exists.
        switches: Settings of the command line.
        variables: As of `Hg.popen`.

    Raises:
        HgError: It did not start.
    """
    options = [part for switch in switches for part in ("--config", switch)]
    # Nobody reads what it prints, so it must not print requests.
    logs = ("--errorlog", str(folder / "errors"), "--accesslog", str(folder / "requests"))
    where = ("--address", LOOPBACK, "--port", "0")
    arguments = ("serve", "--web-conf", str(file), *where, *logs, *options)
    with hg.popen(*arguments, folder=folder, variables=variables) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            found = re.search(rb"bound to [0-9.]+:(\d+)", line)
            if found is None:
                process.kill()
                raise HgError(arguments, process.wait(), line + process.communicate()[0])
            yield f"http://{LOOPBACK}:{int(found[1])}"
        finally:
            process.terminate()
