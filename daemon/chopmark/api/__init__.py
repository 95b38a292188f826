"""HTTP: the API on the local socket and on loopback."""
