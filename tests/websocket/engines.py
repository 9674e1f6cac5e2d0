"""Two libraries of WebSocket without I/O, in one shape: `websockets` and `wsproto`. They see frames, not messages."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension, parse_extension
from websockets.protocol import Protocol as WebsocketsProtocol
from websockets.protocol import Side, State
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension as WsprotoExtension
from wsproto.extensions import PerMessageDeflate

LOST = "lost: 1006"
"""What is heard of an end without a close frame, be it FIN or RST."""


class Part(NamedTuple):
    """A frame as the library shows it; `fin`: no more of the message follows. A close has its code and reason."""

    kind: str
    payload: bytes = b""
    fin: bool = True

    def __str__(self) -> str:
        size = len(self.payload)
        said = repr(self.payload) if size <= 40 else f"{size} {hashlib.sha256(self.payload).hexdigest()[:16]}"
        return f"{self.kind}{'' if self.fin else ' …'} {said}"


def closing(code: int, reason: str | None) -> Part:
    return Part("close", f"{int(code)} {reason or ''}".encode())


class Engine(Protocol):
    """One end. `feed` returns what was heard, `take` what is to be sent; pings and closes are answered unasked."""

    def offer(self) -> str: ...
    def accept(self, offered: str) -> str: ...
    def agree(self, accepted: str) -> None: ...
    def send(self, kind: str, payload: bytes, fin: bool) -> None: ...
    def close(self, code: int | None, reason: str) -> None: ...
    def feed(self, data: bytes) -> list[Part]: ...
    def take(self) -> bytes: ...


class Websockets:
    """The library `websockets`."""

    def __init__(self, client: bool, deflate: bool) -> None:
        self._side = Side.CLIENT if client else Side.SERVER
        self._deflate = deflate
        self._client = ClientPerMessageDeflateFactory(client_max_window_bits=True, client_no_context_takeover=True)
        self._server = ServerPerMessageDeflateFactory(server_max_window_bits=12)
        self._broken = False
        self._use([])

    def _use(self, extensions: Sequence[Extension]) -> None:
        self._protocol = WebsocketsProtocol(self._side, state=State.OPEN, max_size=None)
        self._protocol.extensions = list(extensions)

    def offer(self) -> str:
        return build_extension([("permessage-deflate", self._client.get_request_params())]) if self._deflate else ""

    def accept(self, offered: str) -> str:
        for name, parameters in parse_extension(offered) if offered and self._deflate else ():
            answer, extension = self._server.process_request_params(parameters, [])
            self._use([extension])
            return build_extension([(name, list(answer))])
        return ""

    def agree(self, accepted: str) -> None:
        if accepted:
            [(_, parameters)] = parse_extension(accepted)
            self._use([self._client.process_response_params(parameters, [])])

    def send(self, kind: str, payload: bytes, fin: bool) -> None:
        match kind:
            case "text":
                self._protocol.send_text(payload, fin)
            case "binary":
                self._protocol.send_binary(payload, fin)
            case "more":
                self._protocol.send_continuation(payload, fin)
            case "ping":
                self._protocol.send_ping(payload)
            case "pong":
                self._protocol.send_pong(payload)

    def close(self, code: int | None, reason: str) -> None:
        self._protocol.send_close(code, reason)

    def feed(self, data: bytes) -> list[Part]:
        self._protocol.receive_data(data)
        found = []
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode is Opcode.CLOSE:
                code = self._protocol.close_rcvd
                assert code is not None
                found.append(closing(code.code, code.reason))
            else:
                kind = {Opcode.CONT: "more", Opcode.BINARY: "binary"}.get(event.opcode, event.opcode.name.lower())
                found.append(Part(kind, bytes(event.data), event.fin))
        if self._protocol.parser_exc is not None and not self._broken:
            self._broken = True
            found.append(closing(1002, "broken"))
        return found

    def take(self) -> bytes:
        return b"".join(self._protocol.data_to_send())


class Wsproto:
    """The library `wsproto`, which h11 and hyper-h2 go with."""

    def __init__(self, client: bool, deflate: bool) -> None:
        self._type = ConnectionType.CLIENT if client else ConnectionType.SERVER
        self._extension = PerMessageDeflate(server_max_window_bits=11) if deflate else None
        self._part = b""
        self._inside = False
        self._sending = ""
        self._out: list[bytes] = []
        self._use()

    def _use(self, *extensions: WsprotoExtension) -> None:
        self._connection = Connection(self._type, list(extensions))

    def offer(self) -> str:
        if self._extension is None:
            return ""
        offered = self._extension.offer()
        return f"permessage-deflate; {offered}" if isinstance(offered, str) and offered else "permessage-deflate"

    def accept(self, offered: str) -> str:
        if not offered or self._extension is None:
            return ""
        answer = self._extension.accept(offered)
        self._use(self._extension)
        return f"permessage-deflate; {answer}" if isinstance(answer, str) and answer else "permessage-deflate"

    def agree(self, accepted: str) -> None:
        if accepted:
            assert self._extension is not None
            self._extension.finalize(accepted)
            self._use(self._extension)

    def send(self, kind: str, payload: bytes, fin: bool) -> None:
        event: Event
        if kind == "more":
            kind = self._sending
        elif kind in ("text", "binary"):
            self._sending = kind
        match kind:
            case "text":
                event = TextMessage(data=payload.decode(), message_finished=fin)
            case "binary":
                event = BytesMessage(data=payload, message_finished=fin)
            case "ping":
                event = Ping(payload=payload)
            case _:
                event = Pong(payload=payload)
        self._out.append(self._connection.send(event))

    def close(self, code: int | None, reason: str) -> None:
        self._out.append(self._connection.send(CloseConnection(code=1005 if code is None else code, reason=reason)))

    def feed(self, data: bytes) -> list[Part]:
        self._connection.receive_data(data)
        return [text for event in self._connection.events() for text in self._parts(event)]

    def _parts(self, event: Event) -> list[Part]:
        if isinstance(event, Message):
            self._part += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            if not event.frame_finished:
                return []
            kind = "more" if self._inside else "text" if isinstance(event, TextMessage) else "binary"
            payload, self._part, self._inside = self._part, b"", not event.message_finished
            return [Part(kind, payload, event.message_finished)]
        if isinstance(event, Ping):
            self._out.append(self._connection.send(event.response()))
            return [Part("ping", bytes(event.payload))]
        if isinstance(event, Pong):
            return [Part("pong", bytes(event.payload))]
        assert isinstance(event, CloseConnection)
        if self._connection.state.name != "CLOSED":
            self._out.append(self._connection.send(event.response()))
        return [closing(event.code, event.reason)]

    def take(self) -> bytes:
        data = b"".join(self._out)
        self._out = []
        return data


ENGINES: dict[str, Any] = {"websockets": Websockets, "wsproto": Wsproto}
