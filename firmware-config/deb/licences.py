"""Prints the packages beside this Python: name, version and licence, a line for each."""

from email.message import Message
from importlib.metadata import distributions
from typing import cast


def licence(metadata: Message) -> str:
    """What a package says its licence is, in a few words."""
    classifiers = metadata.get_all("Classifier") or []
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License")]
    told = metadata.get("License-Expression") or ", ".join(named) or metadata.get("License")
    return (told or "see its folder").strip().split("\n")[0]


def main() -> None:
    """Entry point."""
    for one in sorted(distributions(), key=lambda one: one.metadata["Name"].lower()):
        print(f"{one.metadata['Name']} {one.version}: {licence(cast(Message, one.metadata))}")


if __name__ == "__main__":
    main()
