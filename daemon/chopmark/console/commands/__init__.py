"""The console's commands: each module here that has `COMMANDS` adds its own to the one table."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from chopmark.console.command import Command


@cache
def load_commands() -> tuple[Command, ...]:
    """All commands, in the order of their words."""
    modules = [import_module(f"{__name__}.{one.name}") for one in iter_modules(__path__)]
    found = [one for module in modules for one in getattr(module, "COMMANDS", ())]
    return tuple(sorted(found, key=lambda one: one.path))
