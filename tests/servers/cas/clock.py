# SPDX-License-Identifier: ISC
"""Two times. `elapsed` is what the service's own delays are counted in: it stands still (or runs with the real one) and a test moves it, so that a review of
days takes no time. `wall` is the date of the world, which signatures, the Date header and certificates have: the real one plus an offset."""
import time


class Clock:
    def __init__(self, elapsed=0.0, running=False, offset=0.0):
        self.running, self.offset = running, offset
        self._base, self._since = elapsed, time.monotonic()

    def elapsed(self):
        return self._base + (time.monotonic() - self._since if self.running else 0)

    def wall(self):
        return time.time() + self.offset

    def advance(self, seconds, world=False):
        """world: the date moves along, too."""
        if seconds < 0:
            raise ValueError("time goes forward")
        self._base += seconds
        if world:
            self.offset += seconds
