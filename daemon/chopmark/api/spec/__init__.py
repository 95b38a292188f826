"""The API described for machines (OpenAPI 3.1), generated from the types that the routes read.

`operations` say which routes there are; `shapes`, `verdict_shapes` and `state_shapes` what answers
hold that are made as plain values; `build` makes the document of them. Nothing here serves a
request but that for the document itself.
"""
