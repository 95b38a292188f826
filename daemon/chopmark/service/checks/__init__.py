"""`chopmark doctor`: one module for each thing that is looked at, and one list of them all.

A check is a function of a `Scene`, which gives findings: what is wrong, and what to do about it. It
changes nothing, blocks for a few seconds at most, and raises nothing that a user could cause.

Each module names its codes; any of them may say `not-looked-at` besides.
"""
