"""The daemon: configuration, wiring, life cycle."""
