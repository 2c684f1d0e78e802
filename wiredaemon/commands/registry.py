"""The commands that a server knows, and where they are loaded from."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiredaemon.commands.declaration import MARK, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from wiredaemon.wire.dialects import Dialect

ENTRY_POINT_GROUP: Final = "wiredaemon.commands"


class CommandLoadError(Exception):
    """A module or file with commands cannot be loaded, or declares what cannot be."""


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
        """Add one command.

        Raises:
            CommandLoadError: The name is taken in one of its dialects.
        """
        name = command.name.encode()
        for dialect in command.dialects:
            if name in self._by_dialect.get(dialect, {}):
                message = f"command {command.name} is declared twice for dialect {dialect}"
                raise CommandLoadError(message)
        for dialect in command.dialects:
            self._by_dialect.setdefault(dialect, {})[name] = command

    def find(self, name: bytes, dialect: Dialect) -> Command | None:
        """Give the command of that name, exposed or not, or None."""
        return self._by_dialect.get(dialect.name, {}).get(name)

    def exposed(self, dialect: Dialect) -> list[Command]:
        """Give the commands that can be called, in the order they were registered."""
        return [
            command
            for command in self._by_dialect.get(dialect.name, {}).values()
            if command.exposed
        ]


def marked_commands(module: ModuleType) -> Iterator[Command]:
    """Give the commands that a module itself marks, in definition order."""
    for value in vars(module).values():
        command = getattr(value, MARK, None)
        if isinstance(command, Command) and value.__module__ == module.__name__:
            yield command


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
    """Load what installed distributions offer under the group ``wiredaemon.commands``.

    Raises:
        CommandLoadError: An entry point cannot be imported.
    """
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return load_commands(sorted(point.value for point in points))


def _import(source: str) -> ModuleType:
    try:
        if source.endswith(".py"):
            return _import_file(Path(source))
        return importlib.import_module(source)
    except Exception as error:
        message = f"{source} cannot be loaded: {type(error).__name__}: {error}"
        raise CommandLoadError(message) from error


def _import_file(path: Path) -> ModuleType:
    name = f"wiredaemon_commands_{path.stem}_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = "it is no Python file"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
