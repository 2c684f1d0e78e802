"""Commands by name, and loading them from modules, files and installed distributions."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wiredaemon.commands import Command, Permission, RawBytes, command
from wiredaemon.commands import capabilities as capabilities_module
from wiredaemon.commands.declaration import MARK
from wiredaemon.commands.registry import (
    CommandLoadError,
    Registry,
    load_commands,
    load_installed_commands,
    marked_commands,
    marked_methods,
)
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLE = Path(__file__).resolve().parents[2] / "conf" / "examples" / "dummycommands.py"

IMPORT = "from wiredaemon.commands import Permission, command\n"

ONE = IMPORT + "@command('one', permission=Permission.RO)\ndef one(context): return 1\n"
TWO = IMPORT + "@command('two', permission=Permission.RW)\ndef two(context): return 2\n"


def declare(name: str, *dialects: str, module: str = "", exposed: bool = True) -> Command:
    return Command(
        name=name,
        permission=Permission.RO,
        function=lambda context: context,
        dialects=frozenset(dialects or DIALECTS),
        exposed=exposed,
        module=module,
    )


def names(commands: list[Command]) -> list[str]:
    return [command.name for command in commands]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import from; what was imported is forgotten afterwards."""
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


@pytest.fixture
def load_source(folder: Path) -> Callable[[str], list[Command]]:
    """Load a file of that text."""

    def load(source: str) -> list[Command]:
        path = folder / "commands.py"
        path.write_text(source)
        return load_commands([str(path)])

    return load


# --- the registry ----------------------------------------------------------------------------


def test_a_command_is_found_in_its_dialects_only() -> None:
    old = declare("sum", "0002", "0003")
    new = declare("sum", "0006")
    registry = Registry([old, new])
    assert [registry.find(b"sum", dialect) for dialect in DIALECTS.values()] == [
        old,
        old,
        None,
        None,
        new,
    ]


@pytest.mark.parametrize("name", [b"", b"Sum", b"sum ", b"\xff"])
def test_a_name_that_no_command_has_is_not_found(name: bytes) -> None:
    assert Registry([declare("sum")]).find(name, DIALECTS["0006"]) is None


@pytest.mark.parametrize(("name", "sent"), [("two words", b"two words"), ("%s", b"%s")])
def test_a_command_is_found_by_the_bytes_of_its_name(name: str, sent: bytes) -> None:
    command = declare(name)
    assert Registry([command]).find(sent, DIALECTS["0006"]) is command


def test_commands_are_exposed_in_the_order_of_registration() -> None:
    registry = Registry([declare("b"), declare("a"), declare("c", "0002")])
    registry.register(declare("0"))
    assert names(registry.exposed(DIALECTS["0006"])) == ["b", "a", "0"]


def test_a_command_that_is_not_exposed_is_found_all_the_same() -> None:
    hidden = declare("between", exposed=False)
    registry = Registry([hidden])
    assert registry.find(b"between", DIALECTS["0002"]) is hidden
    assert registry.exposed(DIALECTS["0002"]) == []


def test_a_name_can_be_taken_once_in_each_dialect() -> None:
    registry = Registry([declare("sum", "0003", "0005", "0006", module="first")])
    with pytest.raises(CommandLoadError) as caught:
        registry.register(declare("sum", "0002", "0005", "0006", module="second"))
    assert str(caught.value) == (
        "command sum is declared twice for dialect 0005: by first and by second"
    )


def test_a_refused_command_is_in_no_dialect() -> None:
    registry = Registry([declare("sum", "0006")])
    with pytest.raises(CommandLoadError):
        registry.register(declare("sum", "0002", "0006"))
    assert registry.find(b"sum", DIALECTS["0002"]) is None


def test_the_very_same_command_may_be_registered_again() -> None:
    one, two = declare("one"), declare("two")
    assert Registry([one, two, one]).exposed(DIALECTS["0006"]) == [one, two]


# --- marked objects of a module --------------------------------------------------------------


def test_the_generic_commands_are_capabilities() -> None:
    assert names(list(marked_commands(capabilities_module))) == ["capabilities"]


def test_commands_come_in_definition_order(load_source: Callable[[str], list[Command]]) -> None:
    functions = "".join(
        f"@command({name!r}, permission=Permission.RO)\ndef {function}(context): ...\n"
        for name, function in [("z", "b"), ("a", "z"), ("m", "a")]
    )
    assert names(load_source(IMPORT + functions)) == ["z", "a", "m"]


def test_what_a_module_imports_is_not_its_own(folder: Path) -> None:
    (folder / "imported_one.py").write_text(ONE)
    (folder / "importing_two.py").write_text("from imported_one import one\n" + TWO)
    loaded = load_commands(["importing_two", "imported_one"])
    assert names(loaded) == ["two", "one"]
    assert names(Registry(loaded).exposed(DIALECTS["0006"])) == ["two", "one"]


def test_a_module_that_only_imports_commands_declares_none(folder: Path) -> None:
    (folder / "imported_one.py").write_text(ONE)
    (folder / "importing_only.py").write_text("from imported_one import one\n")
    with pytest.raises(CommandLoadError, match=r"^importing_only declares no command$"):
        load_commands(["importing_only"])


def test_a_second_name_for_a_command_does_not_declare_it_again(
    load_source: Callable[[str], list[Command]],
) -> None:
    assert names(load_source(ONE + "alias = one\n")) == ["one"]


def test_subclasses_and_instances_of_a_command_are_not_commands(
    load_source: Callable[[str], list[Command]],
) -> None:
    source = (
        "@command('one', permission=Permission.RO)\n"
        "class One:\n"
        "    def __init__(self, context): ...\n"
        "class Sub(One): ...\n"
        "instance = One(None)\n"
    )
    assert names(load_source(IMPORT + source)) == ["one"]


def test_partial_and_callable_objects_are_commands_of_the_module_that_marks_them(
    folder: Path, load_source: Callable[[str], list[Command]]
) -> None:
    (folder / "summing.py").write_text(
        "class Summing:\n"
        "    def __init__(self, base): self.base = base\n"
        "    def __call__(self, context): return self.base\n"
        "def add(base, context): return base\n"
        "def imported(context): return 3\n"
    )
    source = (
        "import functools\n"
        "from summing import Summing, add, imported\n"
        "partial = command('partial', permission=Permission.RO)(functools.partial(add, 1))\n"
        "called = command('called', permission=Permission.RO)(Summing(2))\n"
        "command('imported', permission=Permission.RO)(imported)\n"
    )
    loaded = load_source(IMPORT + source)
    # In the order in which the names were bound: `imported` was by its import.
    assert [(known.name, known.function(None)) for known in loaded] == [
        ("imported", 3),
        ("partial", 1),
        ("called", 2),
    ]


def test_a_decorator_from_elsewhere_may_do_the_marking(
    folder: Path, load_source: Callable[[str], list[Command]]
) -> None:
    (folder / "sugar.py").write_text(
        IMPORT
        + "def readonly(name): return command(name, permission=Permission.RO)\n"
        + "def direct(function):\n"
        + "    return command(function.__name__, permission=Permission.RO)(function)\n"
    )
    source = (
        "from sugar import direct, readonly\n"
        "@readonly('one')\n"
        "def first(context): ...\n"
        "@direct\n"
        "def two(context): ...\n"
    )
    assert names(load_source(source)) == ["one", "two"]


@pytest.mark.parametrize("inner_name", ["one", "inner"])
def test_a_decorator_above_the_mark_is_refused_for_it_would_have_no_effect(
    inner_name: str, load_source: Callable[[str], list[Command]]
) -> None:
    source = (
        "import functools\n"
        "def checked(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(*args, **named): raise PermissionError\n"
        "    return wrapper\n"
        "@checked\n"
        f"@command({inner_name!r}, permission=Permission.RO)\n"
        "def one(context): ...\n"
    )
    with pytest.raises(CommandLoadError) as caught:
        load_source(IMPORT + source)
    assert str(caught.value).endswith(
        f": command {inner_name} is wrapped in something else: "
        "@command must be the outermost decorator"
    )


def test_a_decorator_below_the_mark_is_part_of_the_command(
    load_source: Callable[[str], list[Command]],
) -> None:
    source = (
        "import functools\n"
        "def doubled(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(*args, **named): return 2 * function(*args, **named)\n"
        "    return wrapper\n"
        "@command('one', permission=Permission.RO)\n"
        "@doubled\n"
        "def one(context): return 1\n"
    )
    (loaded,) = load_source(IMPORT + source)
    assert loaded.function(None) == 2


def test_objects_with_odd_attributes_do_no_harm(
    load_source: Callable[[str], list[Command]],
) -> None:
    source = (
        "from unittest.mock import MagicMock, call\n"
        "class Proxy:\n"
        "    def __getattr__(self, name): raise RuntimeError('working outside of a request')\n"
        "    @property\n"
        "    def __class__(self): raise RuntimeError('nor this')\n"
        "    def __eq__(self, other): raise RuntimeError('nor that')\n"
        "    __hash__ = None\n"
        "class Anything:\n"
        "    __slots__ = ()\n"
        "    def __getattr__(self, name): return self\n"
        "proxy, anything, mock = Proxy(), Anything(), MagicMock()\n"
        "class Marked: __wiredaemon_command__ = 'something else'\n"
        "number, nothing = 5, None\n"
    )
    assert names(load_source(source + ONE)) == ["one"]


# --- modules and files -----------------------------------------------------------------------


def test_the_example_answers_both_commands_of_the_transcripts() -> None:
    loaded = load_commands([str(EXAMPLE)])
    found = [(known.name, known.permission, known.function(None)) for known in loaded]
    assert found == [
        ("customreadonly", Permission.RO, RawBytes(b"customreadonly bytes response")),
        ("customreadwrite", Permission.RW, RawBytes(b"customreadwrite bytes response")),
    ]


def test_modules_and_files_are_loaded_in_the_order_given(folder: Path) -> None:
    package = folder / "loaded_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(ONE)
    path = folder / "two.py"
    path.write_text(TWO)
    assert names(load_commands([str(path), "loaded_package.inner"])) == ["two", "one"]
    assert names(load_commands(["loaded_package.inner", str(path)])) == ["one", "two"]


def test_files_of_one_name_in_different_folders_do_not_replace_each_other(folder: Path) -> None:
    sources = []
    for name, source in [("a", ONE), ("b", TWO)]:
        (folder / name).mkdir()
        path = folder / name / "commands.py"
        path.write_text(source)
        sources.append(str(path))
    loaded = load_commands(sources)
    assert names(loaded) == ["one", "two"]
    assert loaded[0].module != loaded[1].module
    assert [sys.modules[known.module].__file__ for known in loaded] == sources


def test_a_file_may_declare_dataclasses(load_source: Callable[[str], list[Command]]) -> None:
    head = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "    names: ClassVar[list[str]] = []\n"
    )
    assert names(load_source(head + ONE)) == ["one"]


def test_a_file_given_twice_declares_its_commands_twice(folder: Path) -> None:
    path = folder / "one.py"
    path.write_text(ONE)
    loaded = load_commands([str(path), str(path)])
    with pytest.raises(CommandLoadError, match=r"^command one is declared twice for dialect 0002"):
        Registry(loaded)


def test_a_module_given_twice_is_the_same_module(folder: Path) -> None:
    (folder / "given_twice.py").write_text(ONE)
    loaded = load_commands(["given_twice", "given_twice"])
    assert names(Registry(loaded).exposed(DIALECTS["0006"])) == ["one"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def broken(:\n", "SyntaxError: "),
        ("raise ValueError('100% wrong')\n", "ValueError: 100% wrong"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_mo"),
        ("import sys\nsys.exit('run as a program')\n", "SystemExit: run as a program"),
        (
            IMPORT + "@command('one')\ndef one(context): ...\n",
            "TypeError: command() missing 1 required keyword-only argument: 'permission'",
        ),
        (
            IMPORT + "@command('one', permission=Permission.RO)\ndef one(): ...\n",
            "TypeError: command one: its function must take the context first",
        ),
    ],
)
def test_a_file_that_fails_to_import_is_named_with_the_reason(
    folder: Path, source: str, reason: str
) -> None:
    path = folder / "broken.py"
    path.write_text(source)
    before = set(sys.modules)
    with pytest.raises(CommandLoadError) as caught:
        load_commands([str(path)])
    assert str(caught.value).startswith(f"{path} cannot be loaded: {reason}")
    assert not [name for name in set(sys.modules) - before if "broken" in name]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.py"
    with pytest.raises(CommandLoadError) as caught:
        load_commands([str(path)])
    text = str(caught.value)
    assert text.startswith(f"{path} cannot be loaded: FileNotFoundError: ")


@pytest.mark.parametrize("source", ["no_such_package.commands", "", ".relative", "a file"])
def test_a_module_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(CommandLoadError) as caught:
        load_commands([source])
    assert str(caught.value).startswith(f"{source} cannot be loaded: ")


def test_a_source_without_commands_is_named(folder: Path) -> None:
    path = folder / "empty.py"
    path.write_text("")
    with pytest.raises(CommandLoadError) as caught:
        load_commands([str(path)])
    assert str(caught.value) == f"{path} declares no command"


# --- installed distributions -----------------------------------------------------------------


def install(folder: Path, name: str, entry_points: str, **modules: str) -> None:
    """Lay out a distribution as an installer does."""
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (info / "RECORD").write_text("")


def test_installed_distributions_offer_commands(folder: Path) -> None:
    install(
        folder,
        "offering_b",
        "[wiredaemon.commands]\nfirst = offered_two\n\n[console_scripts]\nx = offered_two:two\n",
        offered_two=TWO,
    )
    install(
        folder,
        "offering_a",
        "[wiredaemon.commands]\nsecond = offered_one\n",
        offered_one=ONE,
    )
    loaded = [known for known in load_installed_commands() if known.module.startswith("offered")]
    assert [(known.name, known.module) for known in loaded] == [
        ("one", "offered_one"),
        ("two", "offered_two"),
    ]


def test_a_module_named_by_two_entry_points_is_loaded_once(folder: Path) -> None:
    points = "[wiredaemon.commands]\na = offered_one\nb = offered_one [extra]\n"
    install(folder, "offering", points, offered_one=ONE)
    assert [known.name for known in load_installed_commands()].count("one") == 1


def test_a_module_both_installed_and_configured_is_no_conflict(folder: Path) -> None:
    install(folder, "offering", "[wiredaemon.commands]\na = offered_one\n", offered_one=ONE)
    registry = Registry([*load_commands(["offered_one"]), *load_installed_commands()])
    assert names(registry.exposed(DIALECTS["0006"])).count("one") == 1


@pytest.mark.parametrize("value", ["offered_one:one", "not a module"])
def test_an_entry_point_that_names_no_module_is_refused(folder: Path, value: str) -> None:
    install(folder, "offering", f"[wiredaemon.commands]\na = {value}\n", offered_one=ONE)
    with pytest.raises(CommandLoadError) as caught:
        load_installed_commands()
    assert str(caught.value) == f"entry point a = {value} must name a module and nothing in it"


def test_an_entry_point_that_cannot_be_imported_is_named(folder: Path) -> None:
    install(folder, "offering", "[wiredaemon.commands]\na = offered_none\n")
    with pytest.raises(CommandLoadError, match=r"^offered_none cannot be loaded: ModuleNotFound"):
        load_installed_commands()


def test_without_installed_distributions_there_are_no_further_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_points(*, group: str) -> list[Any]:
        assert group == "wiredaemon.commands"
        return []

    monkeypatch.setattr("importlib.metadata.entry_points", no_points)
    assert load_installed_commands() == []


# --- methods ---------------------------------------------------------------------------------


class Base:
    @command("first", permission=Permission.RO)
    def first(self, _context: object) -> str:
        return type(self).__name__

    @command("second", permission=Permission.RO)
    def second(self, _context: object) -> str:
        return "base"

    @command("third", permission=Permission.RO)
    def third(self, _context: object) -> str:
        return "base"

    def plain(self, _context: object) -> None: ...

    @property
    def broken(self) -> None:
        raise AssertionError("properties are not read")


class Derived(Base):
    @command("second", permission=Permission.RW)
    def second(self, _context: object) -> str:
        return "derived"

    def third(self, _context: object) -> str:
        return "not marked"

    @command("fourth", permission=Permission.RO)
    def fourth(self, _context: object) -> str:
        return "derived"


def test_the_marked_methods_of_an_object_are_bound_to_it_in_definition_order() -> None:
    found = marked_methods(Derived())
    assert [(each.name, each.permission) for each in found] == [
        ("first", Permission.RO),
        ("second", Permission.RW),
        ("fourth", Permission.RO),
    ]
    assert [each.function(None) for each in found] == ["Derived", "derived", "derived"]


def test_a_method_without_its_object_is_no_command() -> None:
    with pytest.raises(CommandLoadError) as caught:
        Registry([getattr(Base.first, MARK)])
    assert str(caught.value) == "command first is a method: it needs an object of its class"


def test_a_decorator_above_the_mark_of_a_method_is_refused() -> None:
    class Wrapped(Base):
        second = functools.wraps(Base.second)(lambda *_: "wrapped")  # type: ignore[assignment]

    with pytest.raises(CommandLoadError, match="@command must be the outermost decorator"):
        marked_methods(Wrapped())


def test_methods_are_not_commands_of_their_module(
    load_source: Callable[[str], list[Command]],
) -> None:
    source = (
        IMPORT
        + """
class Adding:
    @command("add", permission=Permission.RO)
    def add(self, context):
        return 1

@command("one", permission=Permission.RO)
def one(context):
    return 1
"""
    )
    assert [each.name for each in load_source(source)] == ["one"]
