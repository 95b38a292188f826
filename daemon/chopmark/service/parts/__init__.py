"""The gateway's parts, brought together by subject; `service.wiring` puts the subjects together.

opening → issuing → meeting → answering → overseeing: each knows those before it, and none after.
"""
