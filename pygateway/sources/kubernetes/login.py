"""Where the API server is, and who we are there: by the service account of the pod, or by a kubeconfig."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.config.config_exception import ConfigException
from kubernetes_asyncio.config.incluster_config import load_incluster_config
from kubernetes_asyncio.config.kube_config import load_kube_config

from pygateway.aio.clock import Clock
from pygateway.sources.source import SourceError

log = logging.getLogger(__name__)

_load_service_account: Any = load_incluster_config

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REFRESH: Final = 30.0
"""Seconds after which the token is read again. The kubelet writes a new one when four fifths of the old one's time are
over; this leaves the whole last fifth."""
_PATIENCE: Final = 30.0
"""Seconds for a credential plugin of a kubeconfig."""
_BROKEN: Final = (ConfigException, OSError, yaml.YAMLError, AssertionError, TypeError, ValueError, KeyError)
"""What the library raises for a login that cannot be used."""


class Login:
    """Fills the library's Configuration, and keeps the token in it fresh.

    Left alone the library reads the token of a service account again each minute, but never one that a kubeconfig
    has from a file or a plugin.
    """

    def __init__(self, kubeconfig: str, clock: Clock, folder: Path = SERVICE_ACCOUNT) -> None:
        self._clock = clock
        self._folder = folder
        in_cluster = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (folder / "token").exists()
        self.in_pod = in_cluster and not kubeconfig
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
        self._loader: Any = None
        self._due = 0.0
        self._busy = False

    async def configuration(self) -> Any:
        """A new Configuration, everything in it read anew. Raises SourceError."""
        configuration = Configuration()
        # Every watch holds a connection; with many namespaces there are hundreds.
        configuration.connection_pool_maxsize = 0
        # Python 3.13 refuses certificates without key identifiers, which many clusters' own authorities make; every
        # other client of Kubernetes takes them.
        configuration.disable_strict_ssl_verification = True
        self._loader = None
        try:
            await self._fill(configuration)
        except _BROKEN as error:
            reason = str(error) or type(error).__name__
            raise SourceError(f"no way to log in to the cluster by {self}: {reason}") from error
        configuration.refresh_api_key_hook = self.refresh
        self._due = self._clock.now() + REFRESH
        return configuration

    async def refresh(self, configuration: Any) -> None:
        """Called before each request. One caller reads; the others go on with the old token, as all do when the new
        one cannot be read: it is often still good."""
        if self._busy or self._clock.now() < self._due:
            return
        self._busy = True
        self._due = self._clock.now() + REFRESH
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._fill(configuration)
        except _BROKEN as error:
            log.warning("the login of %s cannot be read again: %s", self, error)
        finally:
            self._busy = False

    async def _fill(self, configuration: Any) -> None:
        if self.in_pod:
            # By whichever way we come, the certificate must be that of the Service.
            configuration.tls_server_name = os.environ["KUBERNETES_SERVICE_HOST"]
            _load_service_account(
                configuration,
                try_refresh_token=False,
                token_filename=str(self._folder / "token"),
                cert_filename=str(self._folder / "ca.crt"),
            )
        elif self._loader is None:
            if not any(map(os.path.exists, self._kubeconfig.split(os.pathsep))):
                raise FileNotFoundError("there is no such file")
            self._loader = await load_kube_config(self._kubeconfig, client_configuration=configuration)
        else:
            # The same loader: it knows for how long the plugin's token is good.
            await self._loader.load_and_set(configuration)
        # A file may end with a newline, which no header may have.
        configuration.api_key = {name: key.strip() for name, key in configuration.api_key.items()}

    def __str__(self) -> str:
        return f"the service account in {self._folder}" if self.in_pod else f"the kubeconfig {self._kubeconfig}"
