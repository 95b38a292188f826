"""Idempotency keys: a request that is sent again is answered as the first time.

As draft-ietf-httpapi-idempotency-key-header has it, a key is a text that the client makes, of its
own for each request. It is scoped to the client, and bound to what is asked for.
"""

import re
from hashlib import sha256
from typing import Final, NamedTuple

from chopmark.core.errors import MalformedError, RefusedError

KEPT: Final = 24 * 3_600_000
"""Ms for which a key is remembered."""
MAX_KEY: Final = 64
"""Characters of a key: a UUID has 36."""
SIZE: Final = 16
"""Bytes of a hash that is kept: nobody gains by two keys of his own that collide."""
_KEY: Final = re.compile(rf"[!#-\[\]-~]{{1,{MAX_KEY}}}", re.ASCII)
"""What a structured string holds without escapes."""
_QUOTED: Final = re.compile(r'"(.*)"')


class Key(NamedTuple):
    """A key as it is kept.

    Attributes:
        id: of client and key.
        fingerprint: of what is asked for with it.
    """

    id: bytes
    fingerprint: bytes


def make_key(client: str, text: str, content: bytes) -> Key:
    """The key that a client gives to a request.

    Args:
        client: who asks.
        text: the key.
        content: what is asked for, the same bytes for the same thing.

    Raises:
        MalformedError: `malformed-key`.
    """
    if not _KEY.fullmatch(text):
        hint = "a UUID is a good one, made anew for each request and sent again with each retry"
        message = f'an idempotency key is 1 to {MAX_KEY} visible ASCII characters but " and \\'
        raise MalformedError("malformed-key", message, hint=hint)
    name = client.encode() + b"\0" + text.encode()
    return Key(sha256(name).digest()[:SIZE], sha256(content).digest()[:SIZE])


def read_header(value: bytes) -> str:
    """The key in the header `Idempotency-Key`: a structured string (RFC 9651), or without quotes.

    What is no key is left to `make_key`.
    """
    text = value.decode("latin-1").strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    return quoted[1] if quoted else text


def key_reused() -> RefusedError:
    """The error for a key that stands for something else."""
    message = "this idempotency key was used for another request"
    hint = "make a new key for each request, and use it again only to send the same once more"
    return RefusedError("key-reused", message, hint=hint)
