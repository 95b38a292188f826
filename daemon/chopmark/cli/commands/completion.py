"""`chopmark completion`: what a shell needs to complete commands and options with the tab key."""

import sys
from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the script that lets a shell complete commands, options and files with the tab key.

    For bash: chopmark completion bash > /usr/share/bash-completion/completions/chopmark

    docs/cli.md has the places for zsh and fish, and those of one user.

    Args:
        shell: The shell.
    """
    from chopmark.cli.main import build_app, load_commands

    app = build_app()
    load_commands(app)
    sys.stdout.write(app.generate_completion(shell=shell))
    return 0
