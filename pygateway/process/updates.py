"""Configuration on its way from control to the workers.

An entry is one value of the snapshot's maps: `[map, key, value]` in msgpack, nil where the value is gone, encoded once
for all workers. What a worker has not taken yet is a dict, place → newest entry, so a slow worker costs memory for
what changed meanwhile and nothing else, and a difference is never dropped. The worker keeps a digest of each entry, so
a new control can send it everything and only what differs is applied.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pygateway import ir
from pygateway.process.messages import Batch

MAPS: Final[tuple[tuple[str, type[msgspec.Struct]], ...]] = (
    ("listeners", ir.Listener),
    ("hosts", ir.VirtualHost),
    ("clusters", ir.Cluster),
    ("endpoints", ir.Endpoints),
    ("certificates", ir.Certificate),
)
"""The maps of a snapshot, by the number that stands for each in an entry."""

Place = tuple[int, str]
"""Number of the map, and key in it."""

_NIL: Final = b"\xc0"
_encode = msgspec.msgpack.Encoder().encode
_entry_decoder: Final = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw])
_value_decoders: Final = tuple(msgspec.msgpack.Decoder(kind) for _name, kind in MAPS)


def encode_entries(update: ir.Update) -> dict[Place, bytes]:
    """Every entry of an update, encoded."""
    entries = {}
    for number, (name, _kind) in enumerate(MAPS):
        for key, value in getattr(update, name).items():
            entries[number, key] = _encode((number, key, value))
    return entries


class State:
    """Control's copy of what all workers shall hold, as encoded entries: what a new worker gets."""

    def __init__(self) -> None:
        self.generation = 0
        self.entries: dict[Place, bytes] = {}

    def merge(self, update: ir.Update) -> dict[Place, bytes]:
        """Take an update; the entries of it, to be passed on."""
        changed = encode_entries(update)
        for place, entry in changed.items():
            if getattr(update, MAPS[place[0]][0])[place[1]] is None:
                self.entries.pop(place, None)
            else:
                self.entries[place] = entry
        self.generation = update.generation
        return changed


class Pending:
    """What one worker has not taken yet. One batch is on its way at a time; the next holds all that came meanwhile."""

    def __init__(self, state: State) -> None:
        """The worker shall hold `state`, whatever it holds now."""
        self.acknowledged = 0
        self._target = state.generation
        self._entries = dict(state.entries)
        self._reset = True
        self._sent: dict[Place, bytes] | None = None
        self._sent_reset = False

    def merge(self, entries: Mapping[Place, bytes], generation: int) -> None:
        """Newer entries replace older ones of the same place."""
        self._entries.update(entries)
        self._target = generation

    def take(self) -> Batch | None:
        """The next batch to send; None when there is nothing to send or one is on its way."""
        if self._sent is not None or self._target in (0, self.acknowledged):
            return None
        self._sent, self._entries = self._entries, {}
        self._sent_reset, self._reset = self._reset, False
        return Batch(self._target, self._sent_reset, [msgspec.Raw(entry) for entry in self._sent.values()])

    def ack(self, generation: int) -> None:
        """The batch on its way has been applied."""
        self.acknowledged = generation
        self._sent = None

    def refuse(self) -> None:
        """The batch on its way could not be applied. Its entries go along with the next change."""
        if self._sent is not None:
            self._entries = self._sent | self._entries
            self._reset = self._reset or self._sent_reset
            self._target = self.acknowledged
            self._sent = None


class Held:
    """A worker's side: digests of the entries in effect."""

    def __init__(self) -> None:
        self.generation = 0
        self._digests: tuple[dict[str, bytes], ...] = tuple({} for _ in MAPS)

    def read(self, batch: Batch) -> "Change":
        """What a batch changes here. Nothing is noted until `commit`."""
        change = Change(batch.generation)
        for raw in batch.entries:
            number, key, value = _entry_decoder.decode(raw)
            data = bytes(memoryview(value))
            if data == _NIL:
                change.drop(number, key, known=key in self._digests[number])
                continue
            digest = hashlib.blake2b(data, digest_size=16).digest()
            change.seen[number].add(key)
            if self._digests[number].get(key) != digest:
                _value_decoders[number].decode(data)  # a value that cannot be read must not surprise the data plane
                change.put(number, key, data, digest)
        if batch.reset:
            for number, key in self._unseen(change):
                change.drop(number, key, known=True)
        return change

    def commit(self, change: "Change") -> None:
        """The change is in effect."""
        for held, digests in zip(self._digests, change.digests, strict=True):
            for key, digest in digests.items():
                if digest is None:
                    del held[key]
                else:
                    held[key] = digest
        self.generation = change.update.generation

    def _unseen(self, change: "Change") -> Iterator[Place]:
        for number, held in enumerate(self._digests):
            yield from ((number, key) for key in held if key not in change.seen[number])


class Decoded(Mapping[str, Any]):
    """Values that are decoded each time they are looked at. A decoded virtual host is several times as large as what is
    made of it; thousands of them alive at once would leave their memory behind in pieces."""

    def __init__(self, decoder: "msgspec.msgpack.Decoder[Any]") -> None:
        self._decoder = decoder
        self._encoded: dict[str, bytes | None] = {}

    def put(self, key: str, data: bytes | None) -> None:
        self._encoded[key] = data

    def __getitem__(self, key: str) -> Any:
        data = self._encoded[key]
        return None if data is None else self._decoder.decode(data)

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)


class Change:
    """The outcome of reading a batch: the update for the data plane, and the digests that go with it."""

    def __init__(self, generation: int) -> None:
        self.seen: tuple[set[str], ...] = tuple(set() for _ in MAPS)
        self.digests: tuple[dict[str, bytes | None], ...] = tuple({} for _ in MAPS)
        self._values = tuple(Decoded(decoder) for decoder in _value_decoders)
        self.update = ir.Update(generation, *self._values)

    def put(self, number: int, key: str, data: bytes, digest: bytes) -> None:
        self._values[number].put(key, data)
        self.digests[number][key] = digest

    def drop(self, number: int, key: str, *, known: bool) -> None:
        """`known`: whether the worker holds it; the removal of what it never had is nothing."""
        if known:
            self._values[number].put(key, None)
            self.digests[number][key] = None
