"""The `chopmark` command."""
