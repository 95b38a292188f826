"""What root does for the console: a small service with a fixed table of verbs (`table`).

The console may be taken over by whoever holds its cable; docs/operations/console-admin.md says what
it can do then. So a request names a verb and values of narrow types: no paths, no options, no
commands.
"""
