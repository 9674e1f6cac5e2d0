"""What the processes say to each other: msgspec structs in msgpack, one union per direction of each link.

Three kinds of link. Supervisor and control, supervisor and worker: small packets, some with sockets attached
(`Packets`). Control and worker: frames of any length, configuration down, acknowledgements and counters up (`Frames`).
"""

import msgspec

from pygateway.observe.counters import WorkerCounters
from pygateway.settings import Settings


class StartControl(msgspec.Struct, tag="start-control"):
    """To a new control process. Attached: the admin port's listening sockets. `restarts` counts control's own."""

    settings: Settings
    restarts: int


class StartWorker(msgspec.Struct, tag="start-worker"):
    """To a new worker. `serial` numbers all workers of this gateway in the order of their birth."""

    settings: Settings
    slot: int
    serial: int


class WorkerLink(msgspec.Struct, tag="worker-link"):
    """To control: a worker to talk to. Attached: control's end of the link to it. `restarts` counts all the workers
    that had to be started again so far."""

    slot: int
    serial: int
    pid: int
    restarts: int


class ControlLink(msgspec.Struct, tag="control-link"):
    """To a worker: control, perhaps a new one. Attached: the worker's end of the link."""


class Hold(msgspec.Struct, tag="hold"):
    """To a worker: accept from the queues of `slot` on `port`. Attached: the listening sockets.

    The slot is the worker's own, or that of a sibling that died and has not come back yet."""

    slot: int
    port: int


class Release(msgspec.Struct, tag="release"):
    """To a worker: stop accepting from the queues of `slot`, which has a worker of its own again."""

    slot: int


class Unbind(msgspec.Struct, tag="unbind"):
    """To a worker: `port` is given up. Serve who still waits in its queues, and close them."""

    port: int


class Announce(msgspec.Struct, tag="announce"):
    """To a worker: the gateway is about to stop. Go on, but let every answer be the last of its connection, so that
    clients come to another gateway with the next one."""


class Drain(msgspec.Struct, tag="drain"):
    """Stop gently. A worker stops accepting, closes idle connections after `grace` seconds and exits when none is
    left, or after `timeout` seconds; control says that it is not ready. `last`: nobody takes the worker's queues over,
    so it serves who still waits in them."""

    grace: float
    timeout: float
    last: bool = False


class Ports(msgspec.Struct, tag="ports"):
    """From control: all the places (TCP ports, and UDP ports as `pygateway.ir.protocols` numbers them) that shall be
    bound; those not named are given up. Every `port` of these messages is one."""

    ports: list[int]


class Bound(msgspec.Struct, tag="bound"):
    """To control: every wanted port, with "" when it is bound or the reason why not."""

    ports: dict[int, str]


class Serving(msgspec.Struct, tag="serving"):
    """From a worker: it holds the whole configuration and accepts."""


class Leaving(msgspec.Struct, tag="leaving"):
    """From a worker that was told by a signal to stop: it accepts no more, its slot needs another."""


class Batch(msgspec.Struct, tag="batch"):
    """Control to worker: changed entries, each `[map, key, value]`, nil for a removal (`pygateway.process.updates`).

    Applying all of them leads to `generation`. `reset`: these are all there are, what is not named is gone."""

    generation: int
    reset: bool
    entries: list[msgspec.Raw]


class Ask(msgspec.Struct, tag="ask"):
    """Control to worker: send your counters."""

    number: int


class Hello(msgspec.Struct, tag="hello"):
    """Worker to control, first on every link: the generation that it holds from an earlier control, else 0."""

    generation: int


class Ack(msgspec.Struct, tag="ack"):
    """Worker to control: `generation` is in effect."""

    generation: int


class Refused(msgspec.Struct, tag="refused"):
    """Worker to control: `generation` could not be applied, the one before stays in effect. A fault of the program."""

    generation: int
    reason: str


class Draining(msgspec.Struct, tag="draining"):
    """Worker to control: it accepts no more."""


class Counters(msgspec.Struct, tag="counters"):
    """Worker to control: the answer to `Ask`, or with `number` 0 the last word of a worker that exits."""

    number: int
    counters: WorkerCounters


ToControl = StartControl | WorkerLink | Bound | Drain
ToWorker = StartWorker | ControlLink | Hold | Release | Unbind | Announce | Drain
ToSupervisor = Ports | Serving | Leaving
Downward = Batch | Ask
Upward = Hello | Ack | Refused | Draining | Counters

encode = msgspec.msgpack.Encoder().encode
decode_to_control = msgspec.msgpack.Decoder(ToControl).decode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_to_supervisor = msgspec.msgpack.Decoder(ToSupervisor).decode
decode_downward = msgspec.msgpack.Decoder(Downward).decode
decode_upward = msgspec.msgpack.Decoder(Upward).decode
