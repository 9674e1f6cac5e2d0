"""The codec alone, in the server's role: what an application would hear, as text.

Compiled classes cannot be derived from outside, so what shows the codec's work without a data plane lives here.
"""

from pygateway.dataplane.http2.budget import Http2Limits
from pygateway.dataplane.http2.channel import Channel
from pygateway.dataplane.http2.connection import Connection
from pygateway.dataplane.http2.errors import REFUSED_STREAM, ConnectionFault, StreamFault
from pygateway.dataplane.http2.hpack import Field, static_table
from pygateway.dataplane.wheel import Wheel


class Recorder(Connection):
    """`events` reads like `data 1 b'abc'`; `counts` holds the limits that were reached."""

    wheel: Wheel
    events: list[str]
    counts: list[str]

    def __init__(self, limits: Http2Limits, header_bytes: int) -> None:
        self.wheel = Wheel(0.0)
        super().__init__(limits, self.wheel, static_table(), header_bytes)
        self.events = []
        self.counts = []

    def opened(self, number: int) -> Channel | None:
        if number <= self.last:
            self.closed_headers(number)
            return None
        self.begin(number)
        if len(self.streams) >= self.limits.max_streams:
            self.send_reset(number, REFUSED_STREAM)
            return None
        return Channel(number, self.peer_window, self.limits.stream_window)

    def is_idle(self, number: int) -> bool:
        return number > self.last

    def count(self, limit: str) -> None:
        self.counts.append(limit)

    def on_headers(self, channel: Channel, fields: list[Field], end: bool) -> None:
        text = " ".join([f"{field.name.decode('latin-1')}={field.value.decode('latin-1')}" for field in fields])
        self.events.append(f"headers {channel.number}{' end' if end else ''} {text}")

    def on_data(self, channel: Channel, data: bytes) -> None:
        self.events.append(f"data {channel.number} {data!r}")

    def on_end(self, channel: Channel) -> None:
        self.events.append(f"end {channel.number}")

    def on_reset(self, channel: Channel, code: int) -> None:
        self.events.append(f"reset {channel.number} {code}")

    def on_fault(self, channel: Channel, fault: StreamFault) -> None:
        self.events.append(f"fault {channel.number} {fault.reason}")

    def on_over(self, fault: ConnectionFault) -> None:
        self.events.append(f"over {fault.reason}")

    def on_stalled(self, channel: Channel) -> None:
        self.events.append(f"stalled {channel.number}")

    def on_room(self, channel: Channel) -> None:
        self.events.append(f"room {channel.number}")
