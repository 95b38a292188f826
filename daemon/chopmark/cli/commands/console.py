"""`chopmark console`: head office says who may sign in at the console of a box."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.newsecret import ask_new
from chopmark.cli.terminal import say, say_fields, say_json, say_prose

"""Bytes of a line with a PIN: more than any has."""


def key(name: str, file: Path, /, *, options: Given) -> int:
    """Make the key by which head office signs enrolments; on a machine without a network.

    Args:
        name: Of the key, such as bank-hk.example/console. It ends with /console.
        file: Where to write the private key, unencrypted: keep it in a safe.
    """
    from chopmark.client.technicians import make_console_key
    from chopmark.core.fingerprint import Fingerprint, encode_public

    made = make_console_key(name, file)
    told = {"vkey": made.encode(), "words": Fingerprint(encode_public(made)).words}
    if options.json:
        say_json(told)
        return 0
    say_fields(list(told.items()))
    say_prose("technicians are read these words when they take the first enrolment at a box")
    return 0


def technician(
    name: str,
    file: Path,
    /,
    *,
    role: Literal["observe", "service"],
    options: Given,
) -> int:
    """Make the file of a technician: a PIN, which is asked for twice, and one-time codes.

    What an authenticator takes in is shown once, and is in the file: keep both to yourself.

    Args:
        name: Id that the technician types: 1 to 16 of a-z, 0-9, dot and hyphen, a letter first.
        file: Where to write it; whoever has it can sign in as this technician.
        role: What the technician may do.
    """
    import asyncio

    from chopmark.api.signin.passwords import Hasher
    from chopmark.client.files import check_creatable
    from chopmark.client.technicians import check_pin, make_technician
    from chopmark.core.enrolment import check_id

    check_id(name)
    check_creatable(file)
    pin = ask_new("pin", name)
    check_pin(pin)
    by_clock, by_counter = make_technician(name, role, asyncio.run(Hasher().make(pin)), file)
    if options.json:
        say_json({"clock": by_clock, "counter": by_counter})
        return 0
    say("for the authenticator, two entries:")
    for uri in (by_clock, by_counter):
        _show(uri)
    say_prose("a console asks for the code by the clock, or by the counter if its clock is wrong")
    return 0


def enrol(
    output: Path,
    technicians: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    box: str,
    number: int,
    key_name: str,
    key_file: Path,
    days: int = 365,
    next_key: str | None = None,
    options: Given,
) -> int:
    """Write the file by which technicians may sign in at the console of one box.

    It goes to the box by any way, by mail or over the telephone's screen: what is secret in it
    only that box can open. It replaces the file before: whoever is not named is out.

    Args:
        output: Where to write it.
        technicians: Files of the technicians, at most 64.
        box: The box's key, one line, as the console shows it.
        number: Number of the file, higher than that of every file before for this box.
        key_name: Name of the console key, such as bank-hk.example/console.
        key_file: The console key, as `chopmark console key` wrote it.
        days: After so many days nobody signs in by it; 400 at most.
        next_key: vkey of the console key that signs the next file, if it is another one.
    """
    from chopmark.client.technicians import read_technician, write_enrolment
    from chopmark.core.keys import parse_vkey

    people = [read_technician(one) for one in technicians]
    successor = None if next_key is None else parse_vkey(next_key)
    made = write_enrolment(
        output, box, number, days, (key_name, key_file), people, successor
    ).heading
    if options.json:
        names = {one.id: one.duty for one in made.people}
        say_json({"path": str(output), "box": made.box.name, "technicians": names})
        return 0
    say(f"wrote {output}: number {made.version} for the box {made.box.name}")
    say_fields([(one.id, one.duty) for one in made.people])
    if sum(one.duty == "service" for one in made.people) < 2:
        say_prose("one technician alone has the role service: dual control needs two")
    return 0


def _show(uri: str) -> None:
    """As text, and for the camera of a telephone on a terminal, where segno is installed."""
    say(f"  {uri}")
    if not sys.stdout.isatty():
        return
    with suppress(ModuleNotFoundError):
        import segno

        segno.make(uri, error="l").terminal(compact=True)
