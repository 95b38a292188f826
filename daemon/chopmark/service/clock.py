"""The gateway's clock: the system's. What guards it against jumps will stand here too."""

import time


class SystemClock:
    """The system's time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000
