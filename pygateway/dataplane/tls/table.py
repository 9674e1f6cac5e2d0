"""Which listener a TLS connection belongs to, by the name in its handshake (see `pygateway.ir.route.Listener`)."""

from collections.abc import Mapping, Sequence

from pygateway import ir
from pygateway.dataplane.l4.destination import Destination, StreamHosts
from pygateway.routing.hosts import HostIndex, normal
from pygateway.routing.table import CompiledRoute, PortTable
from pygateway.routing.view import RequestView


class Choice:
    """What becomes of a handshake: which certificates it may be shown, and into which `scope` the connection comes.
    Where there are no requests `stream` is where it goes, and with `passed_on` TLS does not end here."""

    scope: str
    certificates: tuple[str, ...]
    client: ir.ClientAuth | None
    stream: Destination | None
    passed_on: bool

    def __init__(self, scope: str, certificates: tuple[str, ...], client: ir.ClientAuth | None) -> None:
        self.scope = scope
        self.certificates = certificates
        self.client = client
        self.stream = None
        self.passed_on = False

    def certificate(self, name: str, there: Mapping[str, ir.Certificate]) -> ir.Certificate | None:
        """The one to show to a client that asks for `name`: with the name itself, with a wildcard for its first label,
        the first."""
        star = "*" + name[name.find(".") :] if "." in name else ""
        best: ir.Certificate | None = None
        rank = 0
        for key in self.certificates:
            one = there.get(key)
            if one is None:
                continue
            found = 3 if name in one.hosts else 2 if star and star in one.hosts else 1
            if found > rank:
                best = one
                rank = found
        return best


class TlsTable:
    """All listeners of one bound port that are told apart by names in TLS handshakes; `streams` are the destinations of
    those without requests, and `silent` whether there are any: then a client that nobody takes is told nothing. It
    never changes: a newer one takes its place."""

    scopes: dict[str, "ScopeOf"]
    silent: bool
    _groups: list["_Group"]

    def __init__(self, listeners: Sequence[ir.Listener], streams: Mapping[str, StreamHosts] | None = None) -> None:
        self.scopes = {}
        streams = streams or {}
        self.silent = len(streams) > 0
        members: dict[str, list[ir.Listener]] = {}
        for listener in sorted(listeners, key=_order):
            members.setdefault(listener.group, []).append(listener)
        self._groups = [_Group(some, self.scopes, streams) for some in members.values()]

    def choose(self, name: str) -> Choice | None:
        """None: nobody takes a client that asks for `name` ("": for none)."""
        last: _Listener | None = None
        for group in self._groups:
            listener = group.owner(name)
            if listener is None:
                continue
            choice = listener.choose(name)
            if not listener.every or (choice is not None and not listener.is_rest(name)):  # it names it
                return choice
            last = listener if last is None else last
        return None if last is None else last.choose(name)


class ScopeOf:
    """What the connections of one scope may ask for: what `listener` of `group` owns, and there hosts for which
    `policies` gives the same answer as for the scope itself."""

    group: list[ir.Listener]
    listener: ir.Listener
    policy: int
    policies: "Policies"

    def __init__(self, group: list[ir.Listener], listener: ir.Listener, policy: int, policies: "Policies") -> None:
        self.group = group
        self.listener = listener
        self.policy = policy
        self.policies = policies

    def alone(self) -> bool:
        """Whether every request of the scope's connections is its own."""
        return len(self.group) == 1 and self.listener.hostname in {"", "*"} and not self.policies.several


class ScopedTable(PortTable):
    """The table of a scope: what is another one's goes to `misdirected`. Without a listener that is everything."""

    _scope: ScopeOf | None
    _misdirected: CompiledRoute

    def __init__(self, table: PortTable, scope: ScopeOf | None, misdirected: CompiledRoute) -> None:
        super().__init__(table.groups)
        self._scope = scope
        self._misdirected = misdirected

    def match(self, view: RequestView) -> CompiledRoute | None:
        scope = self._scope
        if scope is None:
            return self._misdirected
        host = normal(view.host)
        owner = self.groups[0].owner(host)
        if owner is None or owner.name != scope.listener.name:
            return self._misdirected
        if scope.policies.several and scope.policies.of(host) != scope.policy:
            return self._misdirected
        return super().match(view)


class Policies:
    """In which way a listener asks for client certificates, as a number, by host. A host whose entry has no certificate
    is nobody's: no connection is made for it, and none that was made for another host may ask for it."""

    several: bool
    ways: list[ir.ClientAuth | None]
    _hosts: HostIndex
    _numbers: list[int]

    def __init__(self, listener: ir.Listener) -> None:
        self.ways = []
        self._hosts = HostIndex([one.hostname for one in listener.tls])
        self._numbers = []
        for one in listener.tls:
            if one.certificates and one.client not in self.ways:
                self.ways.append(one.client)
            self._numbers.append(self.ways.index(one.client) if one.certificates else -1)
        self.several = len(self.ways) > 1 or -1 in self._numbers

    def of(self, host: str) -> int:
        """-1: no connection could have been made for this host."""
        position = self._hosts.best(host)
        return self._numbers[position] if position >= 0 else -1


class _Listener:
    every: bool
    _hosts: HostIndex
    _choices: list[Choice]
    _streams: StreamHosts | None
    _passed_on: bool

    def __init__(
        self, listener: ir.Listener, scopes: list[str], policies: Policies, streams: StreamHosts | None
    ) -> None:
        self._streams = streams
        self._passed_on = listener.protocol == ir.PASSTHROUGH
        self.every = listener.hostname in {"", "*"}
        self._hosts = HostIndex([one.hostname for one in listener.tls])
        self._choices = [
            Choice(scopes[policies.ways.index(one.client)] if one.certificates else "", one.certificates, one.client)
            for one in listener.tls
        ]

    def choose(self, name: str) -> Choice | None:
        position = self._hosts.best(name)
        choice = self._choices[position] if position >= 0 else None
        return choice if self._streams is None else self._choose_stream(self._streams, choice, name)

    def _choose_stream(self, streams: StreamHosts, ending: Choice | None, name: str) -> Choice | None:
        destination = streams.of(name)
        if destination is None or (ending is None and not self._passed_on):
            return None
        choice = Choice("", (), None) if ending is None else Choice(ending.scope, ending.certificates, ending.client)
        choice.stream = destination
        choice.passed_on = self._passed_on
        return choice

    def is_rest(self, name: str) -> bool:
        """Whether `name` is taken by the entry for every name only."""
        if self._streams is not None:
            return not self._streams.names(name)
        return self._hosts.best(name) == self._hosts.every


class _Group:
    _hosts: HostIndex
    _listeners: list[_Listener]

    def __init__(
        self, members: list[ir.Listener], scopes: dict[str, ScopeOf], streams: Mapping[str, StreamHosts]
    ) -> None:
        self._hosts = HostIndex([one.hostname for one in members])
        self._listeners = []
        for one in members:
            policies = Policies(one)
            # A connection whose listener changed its mind about client certificates is in another scope than new ones.
            keys = [f"{one.name}|{_way(way)}" for way in policies.ways]
            for number, key in enumerate(keys):
                scopes[key] = ScopeOf(members, one, number, policies)
            self._listeners.append(_Listener(one, keys, policies, streams.get(one.name)))

    def owner(self, name: str) -> _Listener | None:
        position = self._hosts.best(name)
        return self._listeners[position] if position >= 0 else None


def _way(client: ir.ClientAuth | None) -> str:
    return "" if client is None else f"{client.authorities} {client.required} {client.fallback}"


def _order(listener: ir.Listener) -> tuple[int, str, str]:
    return listener.order
