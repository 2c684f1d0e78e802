"""The commands that a server knows, and where they are loaded from."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.commands.declaration import MARK, Command, is_marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from wiredaemon.wire.dialects import Dialect

ENTRY_POINT_GROUP: Final = "wiredaemon.commands"


class CommandLoadError(Exception):
    """A module or file with commands cannot be loaded, or a declaration in it is wrong."""


class Registry:
    """Commands by name, for each dialect that has them."""

    def __init__(self, commands: Iterable[Command] = ()) -> None:
        """Register commands in order.

        Raises:
            CommandLoadError: A name is declared twice for one dialect.
        """
        self._by_dialect: dict[str, dict[bytes, Command]] = {}
        for command in commands:
            self.register(command)

    def register(self, command: Command) -> None:
        """Add one command; adding the same command again changes nothing.

        Raises:
            CommandLoadError: The name is taken in one of its dialects, or it is a method without
                its object.
        """
        if command.is_method:
            message = f"command {command.name} is a method: it needs an object of its class"
            raise CommandLoadError(message)
        # All dialects are checked before any is changed, so that a refused command is known in none
        # of them.
        name = command.name.encode()
        for dialect in sorted(command.dialects):
            taken = self._by_dialect.get(dialect, {}).get(name, command)
            if taken is not command:
                message = (
                    f"command {command.name} is declared twice for dialect {dialect}: "
                    f"by {taken.module} and by {command.module}"
                )
                raise CommandLoadError(message)
        for dialect in command.dialects:
            self._by_dialect.setdefault(dialect, {})[name] = command

    def find(self, name: bytes, dialect: Dialect) -> Command | None:
        """Return the command of a name, exposed or not, or None."""
        return self._by_dialect.get(dialect.name, {}).get(name)

    def find_exposed(self, name: object, dialect: Dialect) -> Command | None:
        """Return the exposed command of a name, or None; the name may be of any type."""
        if not isinstance(name, bytes):
            return None
        command = self.find(name, dialect)
        return command if command is not None and command.exposed else None

    def exposed(self, dialect: Dialect) -> list[Command]:
        """Return the exposed commands, in the order in which they were registered."""
        return [
            command
            for command in self._by_dialect.get(dialect.name, {}).values()
            if command.exposed
        ]


def marked_commands(module: ModuleType) -> Iterator[Command]:
    """Return the commands that a module marks itself, in definition order.

    Raises:
        CommandLoadError: A decorator above ``@command`` would have no effect.
    """
    # Read without running code of the objects: a proxy may do anything in `__getattr__`.
    found = [(inspect.getattr_static(value, MARK, None), value) for value in vars(module).values()]
    marked = {id(command) for command, value in found if is_marked(command, value)}
    given: set[int] = set()
    for command, value in found:
        if not isinstance(command, Command) or not _is_of(command, module):
            continue
        if id(command) not in marked:
            message = (
                f"{module.__name__}: command {command.name} is wrapped in something else: "
                "@command must be the outermost decorator"
            )
            raise CommandLoadError(message)
        if is_marked(command, value) and id(command) not in given:
            given.add(id(command))
            yield command


def marked_methods(owner: object) -> list[Command]:
    """Return the commands that an object's class marks, bound to it, those of base classes first.

    Raises:
        CommandLoadError: A decorator above ``@command`` would have no effect.
        TypeError: A method does not fit its declaration.
    """
    names = [name for each in reversed(type(owner).__mro__) for name in vars(each)]
    found: list[Command] = []
    # Each name once, and as the object has it: a subclass may have taken the mark away.
    for name in dict.fromkeys(names):
        value = inspect.getattr_static(type(owner), name)
        mark = inspect.getattr_static(value, MARK, None)
        if is_marked(mark, value):
            found.append(mark.bound(getattr(owner, name)))
        elif isinstance(mark, Command):
            message = (
                f"{type(owner).__name__}: command {mark.name} is wrapped in something else: "
                "@command must be the outermost decorator"
            )
            raise CommandLoadError(message)
    return found


def _is_of(command: Command, module: ModuleType) -> bool:
    """Return whether a command was marked in a module, possibly by a decorator from another one."""
    defined_in = getattr(command.function, "__module__", None)
    return module.__name__ in (command.module, defined_in)


def load_commands(sources: Iterable[str]) -> list[Command]:
    """Load the commands of modules (``package.module``) and files (``file.py``), in order.

    Raises:
        CommandLoadError: A source cannot be imported, or holds no command.
    """
    commands: list[Command] = []
    for source in sources:
        found = list(marked_commands(_import(source)))
        if not found:
            message = f"{source} declares no command"
            raise CommandLoadError(message)
        commands += found
    return commands


def load_installed_commands() -> list[Command]:
    """Load the commands of installed distributions' entry points in ``wiredaemon.commands``.

    Raises:
        CommandLoadError: An entry point cannot be imported, or names no module.
    """
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    # Each module once, whatever number of entry points name it, and in an order that does not
    # depend on the order of installation.
    return load_commands(sorted({_module_of(point) for point in points}))


def _module_of(point: importlib.metadata.EntryPoint) -> str:
    match = point.pattern.match(point.value)
    # An entry point may name an object, too; which commands a module marks is the module's to say.
    if match is None or match["attr"] is not None:
        message = f"entry point {point.name} = {point.value} must name a module and nothing in it"
        raise CommandLoadError(message)
    return match["module"]


def _import(source: str) -> ModuleType:
    try:
        if source.endswith(".py"):
            return _import_file(Path(source))
        return importlib.import_module(source)
    # A module runs whatever its author wrote: a script that exits when imported must not end the
    # daemon without a word.
    except (Exception, SystemExit) as error:
        message = f"{source} cannot be loaded: {type(error).__name__}: {error}"
        raise CommandLoadError(message) from error


def _import_file(path: Path) -> ModuleType:
    # Two files may have one name in two folders; the module's name has to tell them apart in
    # `sys.modules`.
    name = f"wiredaemon_commands_{path.stem}_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = "it is no Python file"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    # As importlib's own documentation has it: dataclasses and pickle look a class's module up there
    # while the file still runs.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
