"""The gateway's clock: the system's. `clockguard` guards it against jumps."""

import time


class SystemClock:
    """The system's time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000
