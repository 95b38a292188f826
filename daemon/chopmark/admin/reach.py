"""`python -m chopmark.admin.reach`: network tests for the console, as lines of JSON.

It is what `chopmark-diagnose@.service` runs: with the network, and without any secret.
"""

import sys

import msgspec

from chopmark.service.checks.reach import check_reach
from chopmark.service.config import find_config


def run() -> None:
    """Write a line for each check, as soon as it is done."""
    for told in check_reach(find_config(None)):
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    run()
