"""What came lately, so that the same from a second broker costs a look-up and nothing else."""

from collections.abc import Hashable


class Recent:
    """The newest keys, up to a number of them; the oldest are forgotten.

    Args:
        limit: how many are kept. A key is some hundred bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: dict[Hashable, None] = {}

    def add(self, key: Hashable) -> bool:
        """Remember a key; whether it was new."""
        if key in self._keys:
            return False
        if len(self._keys) >= self._limit:
            del self._keys[next(iter(self._keys))]
        self._keys[key] = None
        return True

    def discard(self, key: Hashable) -> None:
        """Forget a key: the same would be new again."""
        self._keys.pop(key, None)
