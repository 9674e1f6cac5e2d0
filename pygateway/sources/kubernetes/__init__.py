"""Objects of a cluster, followed by list and watch."""

from pygateway.sources.kubernetes.client import ApiError, Client, Reply
from pygateway.sources.kubernetes.scope import Scope
from pygateway.sources.kubernetes.source import KubernetesSource
from pygateway.sources.kubernetes.store import Seen

__all__ = ["ApiError", "Client", "KubernetesSource", "Reply", "Scope", "Seen"]
