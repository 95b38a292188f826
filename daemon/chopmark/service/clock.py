"""The gateway's clock. Guarding it against jumps is the clock guard's business, when there is one."""

import time


class SystemClock:
    """The system's time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000
