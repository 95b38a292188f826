"""The `chopmark` command: parses the command line, runs a command, turns its end into a code."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from inspect import signature
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

import chopmark
from chopmark.cli.context import Given, Options
from chopmark.cli.failures import attempt, explain_bug, report
from chopmark.cli.tree import COMMANDS, GROUPS, find_words, refuse_unknown
from chopmark.core.errors import ChopmarkError, UsageError

INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""
PIPE_CLOSED: Final = 141
"""128 + SIGPIPE: who read our output has gone."""

QUIET: Final[dict[str, Any]] = {"print_error": False, "exit_on_error": False, "verbose": False}
"""Errors of the command line come out as exceptions, and go the way of all others."""
_HELP_FLAGS: Final = frozenset({"--help", "-h"})
HELP: Final = """\
Attest hashes of documents, and verify documents by them.

The gateway is found by --gateway, then CHOPMARK_GATEWAY, then the socket
/run/chopmark/api.sock. Documents are hashed here and go nowhere.
"""


def run() -> None:
    """Entry point of the `chopmark` command."""
    # Names may hold what the terminal's encoding has not: show those instead of failing.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns:
        The exit code (docs/cli.md).
    """
    try:
        result = attempt(partial(_run, build_app(), arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would raise again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - our own fault, whatever it is, is exit code 70
        result = explain_bug(error)
    if isinstance(result, ChopmarkError):
        report(result, as_json=_wants_json(arguments))
        return result.exit_code
    return result


def build_app() -> App:
    """The command line: names here, commands and their help in modules of their own."""
    app = App(
        name="chopmark",
        help=HELP,
        version=chopmark.__version__,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
    )
    _add_commands(app, COMMANDS)
    for name, (text, commands) in GROUPS.items():
        *above, last = name.split()
        group = App(name=last, help=text)
        _add_commands(group, commands)
        _find(app, above).command(group)
    app["peers"].default(_list_peers)
    _add_options(app)
    return app


def _find(app: App, names: Sequence[str]) -> App:
    """The group of these names, each in the one before it."""
    return reduce(App.__getitem__, names, app)


def _add_commands(app: App, commands: Mapping[str, str]) -> None:
    """Name the commands; a module is imported when its command runs or its help is printed."""
    for name, place in commands.items():
        app.command(f"chopmark.cli.commands.{place}", name=name)


def _add_options(app: App) -> None:
    """The options that every command has, wherever they stand on the line."""

    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        json: Annotated[
            bool, Parameter(negative="", show_default=False, help="Print JSON for programs.")
        ] = False,
        gateway: Annotated[
            str | None,
            Parameter(help="The gateway: unix:PATH, https://HOST:PORT, http://127.0.0.1:PORT."),
        ] = None,
        ca: Annotated[
            Path | None, Parameter(help="PEM file: the CA of a gateway by HTTPS.")
        ] = None,
        cert: Annotated[Path | None, Parameter(help="PEM file: your certificate for it.")] = None,
        key: Annotated[str | None, Parameter(help="PEM file: its private key.")] = None,
        config: Annotated[
            Path | None, Parameter(help="The gateway's configuration, for local commands.")
        ] = None,
        progress: Annotated[
            bool | None, Parameter(help="Show progress of long work (on a terminal: yes).")
        ] = None,
    ) -> int:
        chain, apps, _ = app.parse_commands(tokens)
        if key is not None and _has_key(apps[-1]):  # offline commands, with a key of their own
            tokens, key = (*chain, "--key", key, *tokens[len(chain) :]), None
        files = (ca, cert, None if key is None else Path(key))
        options = Options(json, gateway, config, progress, *files)
        command, bound, ignored = app.parse_args(tokens, **QUIET)
        given = dict.fromkeys(ignored, options)
        return int(command(*bound.args, **bound.kwargs, **given) or 0)

    app.meta.default(launch)


def _has_key(command: App) -> bool:
    function = command.default_command
    return function is not None and "key" in signature(function).parameters


def _run(app: App, arguments: Sequence[str]) -> int:
    refuse_unknown(arguments)
    if _HELP_FLAGS & set(arguments) or " ".join(find_words(arguments)) in ("", *GROUPS):
        load_commands(app)
    try:
        return int(app.meta(arguments, result_action="return_value", **QUIET) or 0)
    except CycloptsError as error:
        names = [name for name in error.command_chain or () if not name.startswith("-")]
        hint = f"`{' '.join(['chopmark', *names, '--help'])}` tells what is possible"
        message = str(error).strip()
        if isinstance(error, UnusedCliTokensError):
            message = f"not understood: {' '.join(error.unused_tokens or ())}"
        raise UsageError("usage", message, hint=hint) from error


def load_commands(app: App) -> None:
    """Import every command, since lists of commands show the first line of each one's help."""
    for name in COMMANDS:
        app[name]
    for name, (_, commands) in GROUPS.items():
        for command in commands:
            _find(app, name.split())[command]


def _list_peers(*, options: Given) -> int:
    from chopmark.cli.commands.peers import list_peers

    return list_peers(options=options)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are for a program, even about a command line that does not parse."""
    options = takewhile(lambda argument: argument != "--", arguments)
    return "--json" in options


if __name__ == "__main__":
    run()
