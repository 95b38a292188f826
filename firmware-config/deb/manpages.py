"""Writes the man pages: what commands and programs say of themselves, in the form of man(7).

Usage: manpages.py FOLDER, which gets man1 and man8. Run it by the Python that has
chopmark; SOURCE_DATE_EPOCH dates them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cyclopts import App
from docstring_parser import Docstring, parse

import chopmark
from chopmark.cli.main import build_app, load_commands
from chopmark.cli.tree import COMMANDS, GROUPS

PROGRAMS = {
    "chopmarkd": "daemon of the chopmark gateway",
    "chopmark-admin": "what root does for the technicians' console of a chopmark gateway",
    "chopmark-console": "technicians' console of a chopmark gateway on a serial port",
}
SEE_ALSO = "The whole documentation is in /usr/share/doc/chopmark."


def escape(text: str) -> str:
    """Plain text as roff; Markdown's code marks go."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return "\n".join("\\&" + line if line[:1] in {".", "'"} else line for line in plain.split("\n"))


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a docstring, each on one line."""
    for block in (text or "").split("\n\n"):
        if block.strip():
            yield ".PP\n" + escape(" ".join(block.split()))


def page(name: str, section: int, about: str, body: Iterator[str]) -> str:
    """A whole man page."""
    day = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    head = f'.TH {name.upper()} {section} {day:%Y-%m-%d} "chopmark {chopmark.__version__}" chopmark'
    title = f".SH NAME\n{escape(name)} \\- {escape(about.rstrip('.'))}"
    return "\n".join((head, title, *body, ".SH SEE ALSO", escape(SEE_ALSO), ""))


def describe(app: App, words: str) -> Iterator[str]:
    """One command: how it is called, what it does, its arguments."""
    told = docstring(app)
    texts = {one.arg_name.lstrip("*"): one.description or "" for one in told.params}
    arguments = [one for one in app.assemble_argument_collection(parse_docstring=True) if one.show]
    given = [" ".join(one.names) for one in arguments if not one.names[0].startswith("-")]
    yield ".PP\n\\fB" + escape(words) + "\\fR [OPTIONS] " + escape(" ".join(given))
    yield from paragraphs(told.short_description or "")
    yield from paragraphs(told.long_description or "")
    for one in arguments:
        text = one.parameter.help or texts.get(one.field_info.name, "")
        yield ".TP\n\\fB" + escape(", ".join(one.names)) + "\\fR\n" + escape(" ".join(text.split()))


def below(app: App, words: str) -> Iterator[str]:
    """The commands of a group, and those of groups within."""
    for name in GROUPS[words.partition(" ")[2]][1]:
        yield f".SS {escape(f'{words} {name}')}"
        yield from describe(app[name], f"{words} {name}")
    for group, (about, _) in GROUPS.items():
        above, _, last = group.rpartition(" ")
        if above and f"chopmark {above}" == words:
            yield f".SS {escape(f'{words} {last}')}\n{escape(about)}"
            yield from below(app[last], f"{words} {last}")


def overview(app: App) -> Iterator[str]:
    """The program itself: its commands, and the options that all have."""
    yield ".SH SYNOPSIS\n.B chopmark\n[OPTIONS] COMMAND [ARGUMENTS]\n.SH DESCRIPTION"
    yield from paragraphs(str(app.help))
    yield ".SH COMMANDS"
    for name in sorted({*COMMANDS, *(group for group in GROUPS if " " not in group)}):
        yield f".TP\n.BR {escape(f'chopmark-{name}')} (1)\n{escape(first_line(app[name], name))}"
    yield ".SH OPTIONS"
    for one in app.meta.assemble_argument_collection():
        if one.names[0].startswith("-"):
            yield f".TP\n\\fB{escape(', '.join(one.names))}\\fR\n{escape(one.parameter.help or '')}"


def first_line(app: App, name: str) -> str:
    """What a command does, in a sentence."""
    if name in GROUPS:
        return GROUPS[name][0]
    return docstring(app).short_description or ""


def docstring(app: App) -> Docstring:
    """What a command's function says of itself."""
    return parse((app.default_command and app.default_command.__doc__) or "")


def program(name: str) -> Iterator[str]:
    """A program that is no command: its own help, as it is."""
    run = [sys.executable, Path(sys.executable).with_name(name), "--help"]
    told = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    yield f".SH DESCRIPTION\n.nf\n{escape(told.rstrip())}\n.fi"


def pages() -> Iterator[tuple[str, str]]:
    """Names of files, and their text."""
    app = build_app()
    load_commands(app)
    about = "attest hashes of documents, and verify documents by them"
    yield "chopmark.1", page("chopmark", 1, about, overview(app))
    for name in COMMANDS:
        body = (".SH DESCRIPTION", *describe(app[name], f"chopmark {name}"))
        line = first_line(app[name], name)
        yield f"chopmark-{name}.1", page(f"chopmark-{name}", 1, line, iter(body))
    for name in (group for group in GROUPS if " " not in group):
        body = (".SH COMMANDS", *below(app[name], f"chopmark {name}"))
        yield f"chopmark-{name}.1", page(f"chopmark-{name}", 1, GROUPS[name][0], iter(body))
    for name, line in PROGRAMS.items():
        yield f"{name}.8", page(name, 8, line, program(name))


def main() -> None:
    """Entry point."""
    folder = Path(sys.argv[1])
    os.environ["COLUMNS"] = "80"
    for name, text in pages():
        place = folder / f"man{name[-1]}" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
