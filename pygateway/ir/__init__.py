"""The intermediate representation: what every source API becomes and all that the data plane knows.

Frozen msgspec structs without behaviour, in five keyed maps (`Snapshot`). Nothing here knows where a value came
from beyond `Origin`, which is for people: names in logs, metrics and `explain`.
"""

from pygateway.ir.certificate import Certificate as Certificate
from pygateway.ir.certificate import ClientAuth as ClientAuth
from pygateway.ir.certificate import Termination as Termination
from pygateway.ir.cluster import ActiveHealth as ActiveHealth
from pygateway.ir.cluster import Balancer as Balancer
from pygateway.ir.cluster import Cluster as Cluster
from pygateway.ir.cluster import Endpoint as Endpoint
from pygateway.ir.cluster import Endpoints as Endpoints
from pygateway.ir.cluster import PassiveHealth as PassiveHealth
from pygateway.ir.cluster import Probe as Probe
from pygateway.ir.cluster import Protocol as Protocol
from pygateway.ir.cluster import UpstreamTls as UpstreamTls
from pygateway.ir.filters import Cors as Cors
from pygateway.ir.filters import Filter as Filter
from pygateway.ir.filters import GrpcWeb as GrpcWeb
from pygateway.ir.filters import HeaderModifier as HeaderModifier
from pygateway.ir.filters import Mirror as Mirror
from pygateway.ir.filters import Rewrite as Rewrite
from pygateway.ir.match import Match as Match
from pygateway.ir.match import Op as Op
from pygateway.ir.match import PathKind as PathKind
from pygateway.ir.match import PathMatch as PathMatch
from pygateway.ir.match import Predicate as Predicate
from pygateway.ir.match import Subject as Subject
from pygateway.ir.origin import Origin as Origin
from pygateway.ir.protocols import HTTP as HTTP
from pygateway.ir.protocols import HTTPS as HTTPS
from pygateway.ir.protocols import OVER_TLS as OVER_TLS
from pygateway.ir.protocols import PASSTHROUGH as PASSTHROUGH
from pygateway.ir.protocols import STREAMS as STREAMS
from pygateway.ir.protocols import TCP as TCP
from pygateway.ir.protocols import TLS as TLS
from pygateway.ir.protocols import UDP as UDP
from pygateway.ir.protocols import UDP_PLACES as UDP_PLACES
from pygateway.ir.protocols import place_name as place_name
from pygateway.ir.route import Action as Action
from pygateway.ir.route import Backend as Backend
from pygateway.ir.route import Forward as Forward
from pygateway.ir.route import Listener as Listener
from pygateway.ir.route import ProxyProtocol as ProxyProtocol
from pygateway.ir.route import Redirect as Redirect
from pygateway.ir.route import Respond as Respond
from pygateway.ir.route import Retry as Retry
from pygateway.ir.route import Route as Route
from pygateway.ir.route import Timeouts as Timeouts
from pygateway.ir.route import VirtualHost as VirtualHost
from pygateway.ir.route import clusters_of as clusters_of
from pygateway.ir.snapshot import Snapshot as Snapshot
from pygateway.ir.snapshot import Update as Update
from pygateway.ir.snapshot import difference as difference
