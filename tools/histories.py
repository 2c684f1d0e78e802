"""Made up histories: the changesets of a repository, before anything writes them.

Owns the choices, all of them drawn from one seed, so that a seed always gives the same repository.
Nothing here knows Mercurial; `generated` writes what this module makes up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DEFAULT: Final = b"default"
CLOSED: Final = b"finished"
"""The branch whose only head is closed."""

SECRET: Final = b"secret plans"
"""The branch that only secret changesets are on."""

_BRANCHES: Final = (DEFAULT, DEFAULT, b"stable", "café au lait".encode(), DEFAULT, b"no, comma #7")
_LINES: Final = 9
"""Heads that are worked on side by side, at most."""

_EMPTY: Final = b""
_METADATA_START: Final = b"\x01\n"
_LARGE: Final = 300_000
_SMALLEST: Final = 40
"""Changesets that a history needs to have everything in it."""

_SECRETS: Final = 6
_USERS: Final = (
    b"test",
    "Zoë Ångström <zoe@example.org>".encode(),
    b'"Quoted, Name" <q@example.org>',
    "山田 <yamada@example.org>".encode(),
)
_WORDS: Final = (
    "lemon",
    "Straße",
    "naïve",
    "river",
    "日本",
    "x" * 60,
    "tab\there",
    "",
    "  indented",
)
_FIRST_PATHS: Final = (
    b"README",
    b"empty",
    b"src/main.py",
    b"src/deep/er/and/deeper/still.txt",
    b"with space/and, comma.txt",
    "unicode/Straße-日本.txt".encode(),
    b"latin-1/na\xefve-\xff.txt",
    b"UPPER/Case.TXT",
    b".hidden/_under_score",
    b"aux.txt",
    b"nul/con.d/file.i",
    b"ends.i/in.d",
    b"percent%20/~tilde",
    b"long/" + b"/".join([b"folder-with-a-long-name"] * 9) + b"/file",
    b"src/lib/" + b"n" * 150,
)
"""Names that file systems, encodings or the store treat in ways of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file in one changeset."""

    data: bytes
    flags: bytes = b""
    """`x` executable, `l` a symbolic link whose target is the data."""
    copied_from: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One changeset; changesets are numbered from 0 in the order they are made up."""

    parents: tuple[int, ...]
    branch: bytes
    files: Mapping[bytes, File | None]
    """The files that differ from the first parent; None is a removal."""
    text: bytes
    user: bytes
    date: tuple[int, int]
    """Unix seconds, and seconds west of UTC."""
    extra: Mapping[bytes, bytes]
    is_secret: bool = False


@dataclass(slots=True)
class _Line:
    """One head that new changesets are added to."""

    branch: bytes
    tip: int
    files: dict[bytes, File]
    removed: list[bytes] = field(default_factory=list)


class History:
    """A history of a given number of changesets.

    Args:
        changesets: The number of changesets, at least 40.
        seed: The seed of all random choices.
        removals: Whether files are ever removed or renamed.
        nodes: The hex node of each changeset made up so far: the writer appends them, for tags.

    Raises:
        ValueError: Too few changesets.
    """

    def __init__(
        self, *, changesets: int, seed: int, removals: bool, nodes: Sequence[bytes]
    ) -> None:
        if changesets < _SMALLEST:
            raise ValueError(f"a history has at least {_SMALLEST} changesets, not {changesets}")
        self._changesets = changesets
        self._random = Random(seed)  # noqa: S311 nothing is secret about it
        self._nodes = nodes
        self._made = 0
        self._lines: list[_Line] = []
        self._edits: list[Callable[[_Line], dict[bytes, File | None]]] = [
            *[self._edited] * 8,
            *[self._added] * 3,
            self._copied,
            self._flagged,
            self._linked,
            self._tagged,
            self._large,
            self._untouched,
        ]
        if removals:
            self._edits += [self._renamed, self._removed, self._added_again]

    def changes(self) -> Iterator[Change]:
        """Yield the made up changesets, parents first."""
        yield self._first()
        yield from self._finished_branch()
        while self._made < self._changesets - _SECRETS:
            yield self._next()
        yield from self._secret()

    # --- lines ----------------------------------------------------------------------------------

    def _first(self) -> Change:
        line = _Line(DEFAULT, -1, {})
        self._lines.append(line)
        files: dict[bytes, File | None] = {path: self._text_file() for path in _FIRST_PATHS}
        files[b"empty"] = File(data=_EMPTY)
        files[b"bin/run"] = File(data=b"#!/bin/sh\n", flags=b"x")
        files[b"bin/link"] = File(data=b"run", flags=b"l")
        files[b"bin/dangling"] = File(data="nirgendwo/ä".encode(), flags=b"l")
        files[b"metadata"] = File(data=_METADATA_START + b"copy: README\n" + _METADATA_START)
        files[b"binary"] = File(data=self._random.randbytes(5000))
        files[b"large.bin"] = File(data=self._random.randbytes(_LARGE))
        files[b"large.txt"] = File(data=b"".join(b"line %d\n" % one for one in range(30_000)))
        return self._commit(line, files)

    def _finished_branch(self) -> Iterator[Change]:
        first = self._lines[0]
        line = _Line(CLOSED, first.tip, dict(first.files))
        yield self._commit(line, self._edited(line))
        yield self._commit(line, {}, extra={b"close": b"1"})

    def _next(self) -> Change:
        chosen = self._random.random()
        line = self._random.choice(self._lines)
        if chosen < 0.03 and len(self._lines) < _LINES:  # noqa: PLR2004 one in so many
            branch = self._random.choice(_BRANCHES)
            line = _Line(branch, line.tip, dict(line.files), list(line.removed))
            self._lines.append(line)
        elif chosen < 0.10 and len(self._lines) > 1:  # noqa: PLR2004 the same
            other = self._random.choice([each for each in self._lines if each is not line])
            return self._merge(line, other)
        return self._commit(line, self._random.choice(self._edits)(line))

    def _merge(self, line: _Line, other: _Line) -> Change:
        files: dict[bytes, File | None] = {}
        for path, theirs in other.files.items():
            ours = line.files.get(path)
            if ours == theirs:
                continue
            if ours is not None and _METADATA_START in (ours.data[:2], theirs.data[:2]):
                # Mercurial 7.2 stores a merge of those with a flag that 6.0 does not know.
                continue
            if path == b".hgtags" and ours is not None:
                lines = dict.fromkeys((ours.data + theirs.data).splitlines(keepends=True))
                merged = File(data=b"".join(lines))
            elif ours is None:
                merged = theirs
            else:
                both = File(data=ours.data + theirs.data[:1000], flags=theirs.flags)
                choices = [theirs, ours] if ours.flags or theirs.flags else [theirs, ours, both]
                merged = self._random.choice(choices)
            if merged != ours:
                files[path] = merged
        # Lines that are merged go on from there, or end.
        if len(self._lines) > _LINES // 2 and self._random.random() < 0.5:  # noqa: PLR2004 half
            self._lines.remove(other)
        return self._commit(line, files, merged=other.tip)

    def _secret(self) -> Iterator[Change]:
        """End with heads that nobody is to see, and files that only they have."""
        own = _Line(SECRET, self._lines[0].tip, dict(self._lines[0].files))
        beside = _Line(DEFAULT, self._lines[-1].tip, dict(self._lines[-1].files))
        for number in range(_SECRETS):
            line = (own, beside)[number % 2]
            files = dict(self._edited(line))
            files[b"secret/%d" % number] = File(data=b"for nobody's eyes: %d\n" % number)
            files[b"README"] = File(data=b"secretly changed: %d\n" % number)
            yield self._commit(line, files, is_secret=True)

    def _commit(
        self,
        line: _Line,
        files: Mapping[bytes, File | None],
        *,
        merged: int | None = None,
        extra: Mapping[bytes, bytes] | None = None,
        is_secret: bool = False,
    ) -> Change:
        number = self._made
        parents = tuple(one for one in (line.tip, merged) if one is not None and one >= 0)
        for path, file in files.items():
            if file is None:
                del line.files[path]
                line.removed.append(path)
            else:
                line.files[path] = File(data=file.data, flags=file.flags)
        line.tip = number
        self._made += 1
        return Change(
            parents=parents,
            branch=line.branch,
            files=files,
            text=self._message(number),
            user=self._random.choice(_USERS),
            date=(1_000_000_000 + number * 3600, self._random.choice((0, -3600, 12600, -49500))),
            extra=extra or self._extra(),
            is_secret=is_secret,
        )

    # --- what changes ---------------------------------------------------------------------------

    def _edited(self, line: _Line) -> dict[bytes, File | None]:
        plain = [path for path, file in line.files.items() if len(file.data) < _LARGE // 2]
        plain = [path for path in plain if not line.files[path].flags and path != b".hgtags"]
        chosen = self._random.sample(plain, min(len(plain), self._random.randint(1, 4)))
        return {path: self._edited_file(line.files[path]) for path in chosen}

    def _edited_file(self, file: File) -> File:
        lines = file.data.splitlines(keepends=True)
        kind = self._random.random()
        if kind < 0.5 or not lines:  # noqa: PLR2004 half of them
            lines.append(self._line())
        elif kind < 0.8:  # noqa: PLR2004 and a third
            lines[self._random.randrange(len(lines))] = self._line()
        else:
            del lines[self._random.randrange(len(lines))]
        return File(data=b"".join(lines))

    def _added(self, line: _Line) -> dict[bytes, File | None]:
        folder = self._random.choice((b"", b"src/", b"docs/", "dør/".encode(), b"d\xe9j\xe0/"))
        return {
            b"%sfile-%d-%d.txt" % (folder, self._made, number): self._random.choice(
                (self._text_file(), self._text_file(), File(data=_EMPTY), self._binary_file())
            )
            for number in range(self._random.randint(1, 3))
            if b"%sfile-%d-%d.txt" % (folder, self._made, number) not in line.files
        }

    def _copied(self, line: _Line) -> dict[bytes, File | None]:
        source = self._source(line)
        target = b"copies/of-%d.txt" % self._made
        data = line.files[source].data
        if self._random.random() < 0.5:  # noqa: PLR2004 half of them
            data += self._line()
        return {target: File(data=data, copied_from=source)}

    def _renamed(self, line: _Line) -> dict[bytes, File | None]:
        source = self._source(line)
        target = b"renamed/to-%d.txt" % self._made
        return {target: File(data=line.files[source].data, copied_from=source), source: None}

    def _removed(self, line: _Line) -> dict[bytes, File | None]:
        return {self._source(line): None}

    def _added_again(self, line: _Line) -> dict[bytes, File | None]:
        missing = [path for path in line.removed if path not in line.files]
        if not missing:
            return self._added(line)
        return {self._random.choice(missing): self._text_file()}

    def _flagged(self, line: _Line) -> dict[bytes, File | None]:
        path = self._source(line)
        file = line.files[path]
        return {path: File(data=file.data, flags=b"" if file.flags else b"x")}

    def _linked(self, line: _Line) -> dict[bytes, File | None]:
        taken = line.files.get(b"bin/link")
        data = b"../README" if taken is None or taken.data != b"../README" else b"run"
        return {b"bin/link": File(data=data, flags=b"l")}

    def _tagged(self, line: _Line) -> dict[bytes, File | None]:
        before = line.files.get(b".hgtags", File(data=_EMPTY))
        name = "release-%d" if self._random.random() < 0.8 else "Ausgabe für %d"  # noqa: PLR2004 most
        entry = b"%s %s\n" % (self._nodes[line.tip], (name % self._made).encode())
        return {b".hgtags": File(data=before.data + entry)}

    def _large(self, line: _Line) -> dict[bytes, File | None]:
        path = self._random.choice([b"large.bin", b"large.txt"])
        data = bytearray(line.files[path].data)
        at = self._random.randrange(len(data))
        data[at : at + 50] = self._random.randbytes(80)
        return {path: File(data=bytes(data))}

    def _untouched(self, _line: _Line) -> dict[bytes, File | None]:
        return {}

    def _source(self, line: _Line) -> bytes:
        """A file that may be copied or go away: one that was added on the way."""
        added = [path for path in line.files if b"file-" in path or b"/of-" in path]
        return self._random.choice(added or [path for path in _FIRST_PATHS if path in line.files])

    # --- words ----------------------------------------------------------------------------------

    def _line(self) -> bytes:
        word = self._random.choice(_WORDS)
        return f"{word} {self._random.randrange(1 << 30)}\n".encode()

    def _text_file(self) -> File:
        return File(data=b"".join(self._line() for _ in range(self._random.randint(1, 60))))

    def _binary_file(self) -> File:
        start = self._random.choice((b"\0", _METADATA_START, b"\xff\xfe"))
        return File(data=start + self._random.randbytes(self._random.randint(0, 3000)))

    def _message(self, number: int) -> bytes:
        lines = [f"change {number}: {self._random.choice(_WORDS)}".rstrip()]
        if self._random.random() < 0.3:  # noqa: PLR2004 some of them
            lines += ["", "Longer, for a reason:", " - ünïcode ✓", "\ttabs", "HG: not a comment"]
        return "\n".join(lines).encode()

    def _extra(self) -> dict[bytes, bytes]:
        if self._random.random() < 0.9:  # noqa: PLR2004 most have none
            return {}
        return {
            b"source": self._random.randbytes(20).hex().encode(),
            b"odd": b"colon: newline\n back\\slash nul\0 end",
            b"binary": self._random.randbytes(20),
        }
