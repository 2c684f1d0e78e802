"""The data of dialect 0006: what the daemon gives is what `hg serve` 6.0.3 gives.

Our own client asks both for the same, on the same repository, and the answers are compared object
by object. What may differ is put into one form first, or named where it is allowed:

- **Deltas**: any base that the protocol allows will do, so texts are rebuilt (commands, 4.9).
- **Error frames** hold texts that no program reads; only that there is one is compared.
- **Bookmarks**: 6.0 gives away those of secret changesets (4.7), and those that look diverged
  (`name@elsewhere`), which it does not list otherwise (3).
- **Linknodes of filesdata**: 6.0 names the first changeset of the request (4.11); the one that
  brought the revision is as good.
- **No nodes, with parents**: manifestdata of 6.0 breaks; and it counts null nodes, which it does
  not give (4.8).
- **Raw store files**: in any order (4.13).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.hg import HG7, copy_repository, hg_serve
from support.repositories import run_hg
from support.responding import ensure_deferred
from support.served import Served

from wiredaemon.client import ClientOptions, connect
from wiredaemon.commands import CommandError, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from interop.conftest import Generated
    from support.hg import Hg

    from wiredaemon.client import Connection
    from wiredaemon.wire.values import Value

NULL: Final = bytes(20)
UNKNOWN: Final = b"\x12" * 20
HIDDEN: Final = b"hidden"
DIVERGED: Final = b"main@elsewhere"
SILENT: Final = 30.0
"""Seconds until a server that says nothing fails the test."""

FORMATS: Final = (
    "--config=format.revlog-compression=zlib",
    "--config=format.use-share-safe=no",
)
"""What both releases know alike, so that both name the same requirements."""

WEB: Final = 'allow-push = ["*"]\npush_ssl = false'

Arguments = dict[bytes, Any]
Record = dict[bytes, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A command failed; an error frame has no message worth comparing."""

    message: bytes = b""
    arguments: tuple[bytes, ...] = ()


Answer = list[Any] | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Two servers of the same repositories, `read` and `open`; each has a `written` of its own."""

    ours: str
    theirs: str
    folder: Any
    """Of `read`."""

    def nodes(self, revisions: str) -> list[bytes]:
        """The nodes of revisions of `read`, in hg's order."""
        return [bytes.fromhex(node) for node in HG7.nodes(revisions, folder=self.folder)]

    async def connect(self, name: str = "read") -> Asked:
        """Connect to both."""
        from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

        options = ClientOptions(silent_seconds=SILENT)
        ours = await connect(reactor, f"{self.ours}/{name}", options)
        theirs = await connect(reactor, f"{self.theirs}/{name}", options)
        return Asked(ours, theirs)


@dataclass(frozen=True, slots=True)
class Asked:
    """A connection to each."""

    ours: Connection
    theirs: Connection

    async def ask(
        self, command: bytes, arguments: Mapping[bytes, Value] | None = None
    ) -> tuple[Answer, Answer]:
        """What both give, ours first."""
        return (
            await answer(self.ours, command, arguments),
            await answer(self.theirs, command, arguments),
        )

    async def same(self, command: bytes, arguments: Mapping[bytes, Value] | None = None) -> Answer:
        """What both give, which must be the same."""
        ours, theirs = await self.ask(command, arguments)
        assert ours == theirs, (command, arguments)
        return ours

    async def close(self) -> None:
        """Close both."""
        await self.ours.close()
        await self.theirs.close()


async def answer(
    connection: Connection, command: bytes, arguments: Mapping[bytes, Value] | None
) -> Answer:
    """The objects of a response, or how the command failed."""
    try:
        return [value async for value in connection.call(command, arguments)]
    except CommandError as error:
        return Failure(error.message, tuple(error.arguments))
    except ServerError:
        return Failure()


@pytest.fixture(scope="module")
def both(hg6: Hg, short: Generated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    clone = ("clone", "--noupdate", "--pull", str(short.folder), "open")
    run_hg(*clone, *FORMATS, folder=folder)
    read = copy_repository(short.folder, folder / "read")
    shared = {"read": read, "open": folder / "open"}
    ours = copy_repository(short.folder, folder / "ours")
    theirs = copy_repository(short.folder, folder / "theirs")
    for name in ("daemon", "hgweb"):
        (folder / name).mkdir()
    with (
        hg_serve(hg6, {**shared, "written": theirs}, folder / "hgweb") as url,
        Served.start({**shared, "written": ours}, folder / "daemon", web=WEB) as running,
    ):
        yield Both(ours=running.url("").rstrip("/"), theirs=url, folder=read)


def subsets(fields: Sequence[bytes]) -> Iterator[frozenset[bytes]]:
    """Every selection of fields."""
    sizes = range(len(fields) + 1)
    return map(frozenset, chain.from_iterable(combinations(fields, size) for size in sizes))


# --- records --------------------------------------------------------------------------------------


class Texts:
    """Full texts by node, those of the repository and those of a response so far."""

    def __init__(self) -> None:
        self._texts: dict[bytes, bytes] = {NULL: b""}
        self._parents: dict[bytes, frozenset[bytes]] = {}

    def keep(self, records: Iterable[Record]) -> None:
        """Remember records with parents and texts for later responses."""
        for record in records:
            self._texts[record[b"node"]] = record[b"text"]
            self._parents[record[b"node"]] = frozenset(record[b"parents"])

    def read(self, objects: Iterator[Any], *, haveparents: bool) -> Iterator[Record]:
        """Give records whose texts are whole, whichever way they came.

        Each delta's base must be one that the protocol allows, and each text its node's.
        """
        emitted: set[bytes] = set()
        for given in objects:
            record = dict(given)
            node = record[b"node"]
            following = record.pop(b"fieldsfollowing", [])
            assert len(following) <= 1
            for name, size in following:
                data = next(objects)
                assert len(data) == size
                if name == b"revision":
                    text = data
                else:
                    assert name == b"delta"
                    base = record.pop(b"deltabasenode")
                    near = self._parents[node] if haveparents else frozenset()
                    assert base in emitted | near, "a base that the client need not have"
                    text = patched(self._texts[base], data)
                if node in self._parents:
                    first, second = sorted((*self._parents[node], NULL, NULL)[:2])
                    assert hashlib.sha1(first + second + text).digest() == node  # noqa: S324 Mercurial's
                record[b"text"] = text
                self._texts[node] = text
                emitted.add(node)
            yield record


def patched(base: bytes, delta: bytes) -> bytes:
    """Apply the hunks of a delta: start, end and length, 32 bits each, and what comes instead."""
    parts = []
    at = last = 0
    while at < len(delta):
        start, end, size = (int.from_bytes(delta[at + n : at + n + 4]) for n in (0, 4, 8))
        assert last <= start <= end <= len(base)
        parts += [base[last:start], delta[at + 12 : at + 12 + size]]
        at += 12 + size
        last = end
    assert at == len(delta)
    return b"".join([*parts, base[last:]])


def one_log(texts: Texts, given: Answer, *, haveparents: bool) -> Any:
    """A response of manifestdata or filedata in its one form: the header, then records."""
    if isinstance(given, Failure):
        return given
    header, *rest = given
    return [header, *texts.read(iter(rest), haveparents=haveparents)]


def by_path(texts: Mapping[bytes, Texts], given: Answer, *, haveparents: bool) -> Any:
    """A response of filesdata in its one form: the header, then path and records."""
    if isinstance(given, Failure):
        return given
    found: list[Any] = [given[0]]
    objects = iter(given[1:])
    for header in objects:
        assert set(header) == {b"path", b"totalitems"}
        own = _items(objects, header[b"totalitems"])
        log = texts.get(header[b"path"], Texts())
        found.append((header[b"path"], list(log.read(own, haveparents=haveparents))))
    return found


def _items(objects: Iterator[Any], count: int) -> Iterator[Any]:
    """The objects of so many records, what follows them included."""
    for _ in range(count):
        record = next(objects)
        yield record
        for _ in record.get(b"fieldsfollowing", ()):
            yield next(objects)


@dataclass(slots=True)
class Known:
    """All that is in the repository, by one request for everything of a kind."""

    changesets: list[bytes]
    manifests: list[bytes]
    manifest_texts: Texts
    files: dict[bytes, list[Record]]
    file_texts: dict[bytes, Texts]


async def everything(asked: Asked) -> Known:
    """Get all from the server that is not ours."""
    heads = (await answer(asked.theirs, b"heads", None))[0]  # type: ignore[index]
    whole = {b"type": b"changesetdagrange", b"roots": [], b"heads": heads}
    data: Any = await answer(
        asked.theirs,
        b"changesetdata",
        {b"revisions": [whole], b"fields": {b"revision"}},
    )
    changesets = [one[b"node"] for one in data[1::2]]
    manifests = list(dict.fromkeys(bytes.fromhex(text[:40].decode()) for text in data[2::2]))
    fields = {b"parents", b"revision"}
    arguments: Arguments = {b"tree": b"", b"nodes": manifests, b"fields": fields}
    texts = Texts()
    given = await answer(asked.theirs, b"manifestdata", arguments)
    texts.keep(one_log(texts, given, haveparents=False)[1:])
    given = await answer(
        asked.theirs,
        b"filesdata",
        {b"revisions": [whole], b"fields": {*fields, b"linknode"}, b"haveparents": True},
    )
    fresh: dict[bytes, Texts] = {}
    files = dict(by_path(_Fresh(fresh), given, haveparents=False)[1:])
    for path, records in files.items():
        fresh[path].keep(records)
    return Known(changesets, manifests, texts, files, fresh)


class _Fresh(dict[bytes, Texts]):
    """Makes texts for each path that is asked for."""

    def __init__(self, kept: dict[bytes, Texts]) -> None:
        super().__init__()
        self._kept = kept

    def get(self, path: bytes, _: object = None) -> Texts:
        return self._kept.setdefault(path, Texts())


# --- value commands -------------------------------------------------------------------------------


@ensure_deferred
async def test_branches_heads_and_capabilities_are_the_same(both: Both) -> None:
    for name in ("read", "open"):
        asked = await both.connect(name)
        for command in (b"branchmap", b"heads", b"capabilities"):
            found = await asked.same(command)
            assert isinstance(found, list)
            assert len(found) == 1
        await asked.same(b"heads", {b"publiconly": True})
        description = (await answer(asked.ours, b"capabilities", None))[0]  # type: ignore[index]
        assert (b"rawstorefiledata" in description[b"commands"]) == (name == "open")
        await asked.close()


@ensure_deferred
async def test_the_same_nodes_are_known(both: Both) -> None:
    asked = await both.connect()
    served, secret = both.nodes("not secret()"), both.nodes("secret()")
    assert await asked.same(b"known") == [b""]
    assert await asked.same(b"known", {b"nodes": served}) == [b"1" * len(served)]
    assert await asked.same(b"known", {b"nodes": secret}) == [b"0" * len(secret)]
    nodes = [UNKNOWN, served[3], secret[0], NULL, b"\xff" * 20, served[3]]
    await asked.same(b"known", {b"nodes": nodes})
    await asked.close()


@ensure_deferred
async def test_the_same_keys_are_listed(both: Both) -> None:
    asked = await both.connect()
    for namespace in (b"namespaces", b"bookmarks", b"phases", b"obsolete", b"none", b"\xff", b""):
        await asked.same(b"listkeys", {b"namespace": namespace})
    await asked.close()


@ensure_deferred
async def test_the_same_names_are_looked_up(both: Both, short: Generated) -> None:
    asked = await both.connect()
    node = short.summary.nodes[77].encode()
    view = HG7.view(both.folder)
    names = [node, node[:12], b"tip", b"null", b".", b"0", b"77", b"main"]
    names += ["naïve bookmark".encode(), *(name.encode() for name in view.tags)]
    names += {one["branch"].encode() for one in view.changesets.values()} - {b"secret plans"}
    for name in names:
        found = await asked.same(b"lookup", {b"key": name})
        assert isinstance(found, list), name
    secret = short.summary.secret[0].encode()
    for name in (b"none", b"zz", b"99999", secret, HIDDEN, b"f" * 40, bytes.fromhex(node.decode())):
        assert await asked.same(b"lookup", {b"key": name}) == Failure()
    await asked.close()


@ensure_deferred
async def test_the_same_keys_are_pushed(both: Both, short: Generated) -> None:
    asked = await both.connect("written")
    (draft, *_), (public, *_) = both.nodes("draft()"), both.nodes("public()")
    first, second = (node.encode() for node in short.summary.nodes[10:12])
    secret = short.summary.secret[0].encode()
    pushes = [
        (b"bookmarks", b"new", b"", first, True),
        (b"bookmarks", b"new", b"", second, False),
        (b"bookmarks", b"new", second, first, True),
        (b"bookmarks", b"new", first, second, True),
        (b"bookmarks", "größe".encode(), b"", first, True),
        (b"bookmarks", b"new", second, b"", True),
        (b"bookmarks", b"new", b"", b"", True),
        (b"bookmarks", b"new", b"", UNKNOWN.hex().encode(), False),
        (b"bookmarks", b"new", b"", secret, False),
        (b"bookmarks", b"new@there", b"", first, False),
        (b"phases", draft.hex().encode(), b"1", b"0", True),
        (b"phases", draft.hex().encode(), b"1", b"0", True),
        (b"phases", public.hex().encode(), b"0", b"1", False),
        (b"phases", UNKNOWN.hex().encode(), b"1", b"0", None),
        (b"phases", draft.hex().encode(), b"none", b"0", None),
        (b"namespaces", b"mine", b"", b"1", False),
        (b"none", b"key", b"", b"1", False),
    ]
    for namespace, key, old, new, expected in pushes:
        arguments: Arguments = {b"namespace": namespace, b"key": key, b"old": old, b"new": new}
        found = await asked.same(b"pushkey", arguments)
        assert found == (Failure() if expected is None else [expected]), arguments
    for namespace in (b"bookmarks", b"phases"):
        await asked.same(b"listkeys", {b"namespace": namespace})
    await asked.close()


@ensure_deferred
async def test_the_same_arguments_are_refused_with_the_same_words(both: Both) -> None:
    asked = await both.connect()
    refused: list[tuple[bytes, Arguments]] = [
        (b"heads", {b"wrong": 1, b"also": 2}),
        (b"lookup", {}),
        (b"listkeys", {}),
        (b"changesetdata", {}),
        (b"manifestdata", {}),
        (b"filedata", {}),
        (b"filesdata", {b"fields": set()}),
        (b"pushkey", {b"namespace": b"bookmarks"}),
        (b"manifestdata", {b"tree": b"", b"nodes": [UNKNOWN]}),
        (b"filedata", {b"path": b"none", b"nodes": [UNKNOWN]}),
        (b"filedata", {b"path": b"README", b"nodes": [UNKNOWN]}),
    ]
    node = both.nodes("1")
    specifiers: list[Any] = [
        {},
        {b"nodes": node},
        {b"type": b"none"},
        {b"type": b"changesetexplicit"},
        {b"type": b"changesetexplicitdepth"},
        {b"type": b"changesetexplicitdepth", b"nodes": node},
        {b"type": b"changesetexplicitdepth", b"depth": 1},
        {b"type": b"changesetdagrange"},
        {b"type": b"changesetdagrange", b"roots": []},
        {b"type": b"changesetdagrange", b"heads": node},
        {b"type": b"changesetdagrange", b"roots": [], b"heads": []},
    ]
    for command in (b"changesetdata", b"filesdata"):
        refused += [(command, {b"revisions": [specifier]}) for specifier in specifiers]
    filters: list[Arguments] = [
        {b"include": [b"glob:*"]},
        {b"exclude": [b"src"]},
        {b"include": [b"path:src", b"re:x"], b"exclude": [b"y"]},
    ]
    whole = {b"type": b"changesetexplicit", b"nodes": node}
    refused += [(b"filesdata", {b"revisions": [whole], b"pathfilter": one}) for one in filters]
    for command, arguments in refused:
        found = await asked.same(command, arguments)
        assert isinstance(found, Failure)
        assert found.message, (command, arguments)
    await asked.close()


@ensure_deferred
async def test_what_does_not_exist_fails_at_both(both: Both) -> None:
    asked = await both.connect()
    explicit = {b"type": b"changesetexplicit", b"nodes": [UNKNOWN]}
    failing: list[tuple[bytes, Arguments]] = [
        (b"changesetdata", {b"revisions": [explicit], b"fields": {b"parents"}}),
        (b"changesetdata", {b"revisions": [explicit], b"fields": {b"revision"}}),
        (b"filesdata", {b"revisions": [explicit], b"haveparents": True}),
        (b"filesdata", {b"revisions": [explicit]}),
    ]
    unknown = {b"type": b"changesetdagrange", b"roots": [], b"heads": [UNKNOWN]}
    failing.append((b"changesetdata", {b"revisions": [unknown]}))
    for command, arguments in failing:
        ours, theirs = await asked.ask(command, arguments)
        assert isinstance(ours, Failure), (command, arguments)
        assert isinstance(theirs, Failure), (command, arguments)
    await asked.close()


# --- data commands --------------------------------------------------------------------------------


def specifiers_of(both: Both) -> list[list[Arguments]]:
    """Ways to name changesets, among them all of them, none, and some twice."""
    every = both.nodes("not secret()")
    heads = both.nodes("heads(not secret())")
    some = [every[90], every[3], every[50], every[90]]
    explicit = {b"type": b"changesetexplicit", b"nodes": some}
    part = {
        b"type": b"changesetdagrange",
        b"roots": [every[40], every[100], UNKNOWN],
        b"heads": [every[150], every[120]],
    }
    deep = [
        {b"type": b"changesetexplicitdepth", b"nodes": [every[150], every[120]], b"depth": depth}
        for depth in (1, 2, 9, 10_000)
    ]
    return [
        [],
        [{b"type": b"changesetexplicit", b"nodes": []}],
        [explicit],
        [{b"type": b"changesetexplicit", b"nodes": every[::-1]}],
        [{b"type": b"changesetdagrange", b"roots": [], b"heads": heads}],
        [{b"type": b"changesetdagrange", b"roots": heads, b"heads": heads}],
        [part],
        *([one] for one in deep),
        [explicit, part, deep[1]],
    ]


def with_proper_bookmarks(objects: Sequence[Any]) -> Iterator[Any]:
    """Leave out the bookmarks that nobody is to see, and records of nothing else at the end."""
    header, *rest = objects
    yield header
    asked_for = header[b"totalitems"]
    for one in rest:
        if not isinstance(one, dict):
            yield one
            continue
        names = [name for name in one.get(b"bookmarks", ()) if name not in {HIDDEN, DIVERGED}]
        plain = {key: value for key, value in one.items() if key != b"bookmarks"}
        if names:
            yield {**plain, b"bookmarks": names}
        elif asked_for > 0:
            yield plain
        asked_for -= 1


@ensure_deferred
async def test_changesets_are_the_same(both: Both) -> None:
    asked = await both.connect()
    (hidden,) = both.nodes("hidden")
    for revisions in specifiers_of(both):
        for fields in subsets((b"bookmarks", b"parents", b"phase", b"revision")):
            arguments: Arguments = {b"revisions": revisions, b"fields": fields}
            ours, theirs = await asked.ask(b"changesetdata", arguments)
            assert isinstance(theirs, list)
            # 6.0 gives the bookmarks of secret changesets away.
            assert ({b"node": hidden, b"bookmarks": [HIDDEN]} in theirs) == (b"bookmarks" in fields)
            assert ours == list(with_proper_bookmarks(theirs)), arguments
    await asked.close()


@ensure_deferred
async def test_manifests_are_the_same(both: Both) -> None:
    asked = await both.connect()
    known = await everything(asked)
    every = known.manifests
    for nodes in (every, every[::-1], every[60:90:3], [every[7], every[2], every[7]]):
        for fields in subsets((b"parents", b"revision")):
            for haveparents in (False, True):
                arguments: Arguments = {
                    b"tree": b"",
                    b"nodes": nodes,
                    b"fields": fields,
                    b"haveparents": haveparents,
                }
                ours, theirs = (
                    one_log(known.manifest_texts, given, haveparents=haveparents)
                    for given in await asked.ask(b"manifestdata", arguments)
                )
                assert ours == theirs, arguments
    arguments = {b"tree": b"", b"nodes": []}
    assert await asked.same(b"manifestdata", arguments) == [{b"totalitems": 0}]
    for nodes, haveparents in (([], True), ([NULL], True), ([NULL], False)):
        arguments = {b"tree": b"", b"nodes": nodes, b"haveparents": haveparents}
        assert await answer(asked.ours, b"manifestdata", arguments) == [{b"totalitems": 0}]
    await asked.close()


@ensure_deferred
async def test_revisions_of_one_file_are_the_same(both: Both) -> None:
    asked = await both.connect()
    known = await everything(asked)
    served = [path for path, records in known.files.items() if len(records) > 1]
    odd = [path for path in known.files if not path.isascii() or len(path) > 120][::4]
    assert len(odd) > 2
    for path in (*served[:4], *odd, b"large.bin", b"bin/link", b"metadata", b"empty"):
        nodes = [record[b"node"] for record in known.files[path]]
        for fields in subsets((b"linknode", b"parents", b"revision")):
            for haveparents, some in ((False, nodes[::-1]), (True, nodes[-2:])):
                arguments: Arguments = {
                    b"path": path,
                    b"nodes": some,
                    b"fields": fields,
                    b"haveparents": haveparents,
                }
                ours, theirs = (
                    one_log(known.file_texts[path], given, haveparents=haveparents)
                    for given in await asked.ask(b"filedata", arguments)
                )
                assert ours == theirs, arguments
    await asked.close()


@ensure_deferred
async def test_revisions_of_a_file_in_secret_changesets_are_not_given(both: Both) -> None:
    asked = await both.connect()
    (secret,) = both.nodes("first(secret())")
    text = HG7.run("manifest", "--debug", "-r", secret.hex(), folder=both.folder)
    nodes = {line.split()[-1]: bytes.fromhex(line[:40].decode()) for line in text.splitlines()}
    for path in (b"README", b"secret/0"):
        arguments: Arguments = {b"path": path, b"nodes": [nodes[path]]}
        ours, theirs = await asked.ask(b"filedata", arguments)
        assert isinstance(ours, Failure)
        assert isinstance(theirs, Failure)
    await asked.close()


def filters_of() -> list[Arguments | None]:
    """Path filters of every kind."""
    return [
        None,
        {},
        {b"include": []},
        {b"include": [b"path:src"]},
        {b"include": [b"rootfilesin:."]},
        {b"include": [b"rootfilesin:src", b"path:README", b"path:none"]},
        {b"exclude": [b"path:src/deep", b"path:large.bin"]},
        {b"include": [b"path:src", b"path:docs"], b"exclude": [b"rootfilesin:src"]},
        {b"include": [b"path:latin-1", "path:unicode/Straße-日本.txt".encode()]},
        {b"include": [b"path:sr"]},
    ]


@ensure_deferred
async def test_files_of_changesets_are_the_same(both: Both) -> None:
    asked = await both.connect()
    known = await everything(asked)
    introduced = {
        (path, record[b"node"]): record[b"linknode"]
        for path, records in known.files.items()
        for record in records
    }
    cases: list[tuple[list[Arguments], frozenset[bytes], bool, Arguments | None]] = []
    every_field = frozenset((b"linknode", b"parents", b"revision"))
    few = both.nodes("90 + 3 + 50")
    revisions = [{b"type": b"changesetexplicit", b"nodes": few}]
    for haveparents in (False, True):
        cases += [(one, every_field, haveparents, None) for one in specifiers_of(both)]
        cases += [(revisions, one, haveparents, None) for one in subsets(sorted(every_field))]
        cases += [(revisions, every_field, haveparents, one) for one in filters_of()]
    for revisions, fields, haveparents, pathfilter in cases:
        arguments: Arguments = {
            b"revisions": revisions,
            b"fields": fields,
            b"haveparents": haveparents,
        }
        if pathfilter is not None:
            arguments[b"pathfilter"] = pathfilter
        ours, theirs = (
            by_path(known.file_texts, given, haveparents=haveparents)
            for given in await asked.ask(b"filesdata", arguments)
        )
        assert isinstance(theirs, list)
        assert isinstance(ours, list), (arguments, ours)
        assert ours[0] == theirs[0], arguments
        for (path, records), (their_path, their_records) in zip(ours[1:], theirs[1:], strict=True):
            assert path == their_path
            for record, their_record in zip(records, their_records, strict=True):
                if b"linknode" in fields:
                    allowed = {their_record[b"linknode"], introduced[path, record[b"node"]]}
                    assert record[b"linknode"] in allowed
                    their_record[b"linknode"] = record[b"linknode"]
                assert record == their_record, (path, arguments)
    await asked.close()


def raw_files(given: Answer) -> dict[Any, Any]:
    """The content of each file by its location and path, and the header by its name."""
    assert isinstance(given, list)
    header, *rest = given
    files = {}
    for about, content in zip(rest[::2], rest[1::2], strict=True):
        assert set(about) == {b"location", b"path", b"size"}
        assert about[b"size"] == len(content)
        files[about[b"location"], about[b"path"]] = bytes(content)
    assert header == {
        b"filecount": len(files),
        b"totalsize": sum(len(content) for content in files.values()),
    }
    return files


@ensure_deferred
async def test_raw_store_files_are_the_same(both: Both) -> None:
    asked = await both.connect("open")
    for files in ([b"changelog"], [b"manifestlog"], [b"changelog", b"manifestlog"], []):
        ours, theirs = await asked.ask(b"rawstorefiledata", {b"files": files})
        assert raw_files(ours) == raw_files(theirs), files
    for files in ([b"none"], [b"changelog", b"z", b"a"]):
        found = await asked.same(b"rawstorefiledata", {b"files": files})
        assert isinstance(found, Failure)
        assert found.message == b"unknown file type: %s"
    await asked.close()
    asked = await both.connect("read")
    # Not offered, and refused when it is asked for all the same.
    ours, theirs = await asked.ask(b"rawstorefiledata", {b"files": [b"changelog"]})
    assert ours == theirs == Failure(b"stream clone is disabled")
    await asked.close()
