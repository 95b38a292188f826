"""Signing in to the page: accounts, sessions, an OpenID provider, and networks that need none."""
