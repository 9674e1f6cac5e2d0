"""What one connection may ask for beyond proper work.

Resets, pings and the like are cheap to send and cost the other side; each kind has a budget that refills with time and,
where proper traffic needs more of them the more it works, with work. Spent: GOAWAY ENHANCE_YOUR_CALM.
"""

from pygateway.dataplane.wheel import Wheel


class Budget:
    """`most` at once, `rate` more each second. The wheel's coarse clock is good enough."""

    _wheel: Wheel
    _left: float
    _most: float
    _rate: float
    _at: float

    def __init__(self, wheel: Wheel, most: float, rate: float) -> None:
        self._wheel = wheel
        self._left = most
        self._most = most
        self._rate = rate
        self._at = wheel.now

    def spend(self) -> bool:
        """Take one. False: there is none left."""
        now = self._wheel.now
        if now > self._at:
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
        self._left -= 1.0
        return self._left >= 0.0

    def earn(self, count: float) -> None:
        """Work was done that brings such frames with it."""
        self._left = min(self._most, self._left + count)


class Http2Limits:
    """As the hot path reads them; `DataPlaneSettings` says what each means."""

    max_streams: int
    stream_window: int
    connection_window: int
    continuations: int
    resets: float
    reset_rate: float
    control_frames: float
    control_rate: float

    def __init__(self) -> None:
        self.max_streams = 100
        self.stream_window = 262_144
        self.connection_window = 1_048_576
        self.continuations = 16
        self.resets = 200.0
        self.reset_rate = 20.0
        self.control_frames = 1000.0
        self.control_rate = 50.0
