"""The commands of `chopmark`, one module each, loaded when they run."""
