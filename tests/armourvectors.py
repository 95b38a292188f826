"""The vectors of docs/formats/armour.md."""

from typing import Any

from chopmark.core.armour import BLOCK
from chopmark.core.armour import armour as encode

EXAMPLE = b"bank-hk.example/hk-1+f605b07b+Aj\n"
DATA = bytes(range(256)) * 4
"""Two blocks."""


def armour() -> dict[str, Any]:
    whole = list(encode("gw-1.bin", DATA))
    second = whole.index(next(line for line in whole if line.startswith("block 2 ")))
    stamped = [f"[2026-11-30 17:00:0{at % 10}] {line}" for at, line in enumerate(whole)]
    bad = whole[7].translate(str.maketrans("EFGH", "HGFE"))
    renamed = [line.replace("gw-1.bin", "gw-2.bin") for line in whole]
    cases: dict[str, tuple[list[str], list[int] | None]] = {
        "whole": (whole, []),
        "block 2 sent again": (list(encode("gw-1.bin", DATA, [2])), [1]),
        "times before the lines, a message between them": (
            [*stamped[:9], "kernel: eth0: link up", *stamped[9:]],
            [],
        ),
        "one character changed": ([*whole[:7], bad, *whole[8:]], [1]),
        "a line lost": ([*whole[:-2], whole[-1]], [2]),
        "end lost": (whole[:-1], []),
        "the first line of a block lost": ([*whole[:second], *whole[second + 1 :]], [2]),
        "name changed": (renamed, None),
    }
    return {
        "file": {"name": "gw-1.bin", "hex": DATA.hex(), "block": BLOCK},
        "example": list(encode("hk-1.vkey", EXAMPLE)),
        "empty": list(encode("empty.txt", b"")),
        "logs": [
            {"name": name, "lines": lines, "missing": missing}
            for name, (lines, missing) in cases.items()
        ],
    }
