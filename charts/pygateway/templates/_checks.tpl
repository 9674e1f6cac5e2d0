{{/*
What cannot be had, by name and at once: nothing of it would work, and a value that is passed over is worse than one
that is refused. Takes (root, v).
*/}}
{{- define "pygateway.checks" -}}
{{- $values := .root.Values -}}
{{- range $path, $why := include "pygateway.unsupported" .root | fromYaml -}}
  {{- $value := include "pygateway.given" (dict "values" $values "path" $path) -}}
  {{- if and $value (ne $value "false") -}}{{- fail (printf "%s: %s" $path $why) -}}{{- end -}}
{{- end -}}
{{- if regexMatch "(^|/)apisix(-ingress-controller)?$" .v.image.repository -}}
  {{- fail (printf "image.repository: %s is another program; leave it out, or name an image of pygateway" .v.image.repository) -}}
{{- end -}}
{{- if and (include "pygateway.given" (dict "values" $values "path" "apisix.image.tag")) (eq .v.image.repository "pygateway") -}}
  {{- fail "apisix.image.tag: this names a version of another program; say image.tag" -}}
{{- end -}}
{{- if eq (include "pygateway.given" (dict "values" $values "path" "apisix.enabled")) "false" -}}
  {{- fail "apisix.enabled: a controller without a gateway cannot be had, they are one program" -}}
{{- end -}}
{{- if ne (include "pygateway.given" (dict "values" $values "path" "apisix.kind") | default "\"Deployment\"") "\"Deployment\"" -}}
  {{- fail "apisix.kind: only a Deployment is supported" -}}
{{- end -}}
{{- $public := list "\"edd1c9f034335f136f87ad84b625c8f1\"" "\"4054f7cf07e344346cd3f287985e76a2\"" -}}
{{- range list "admin.credentials.admin" "admin.credentials.viewer" "apisix.admin.credentials.admin" "apisix.admin.credentials.viewer" "ingress-controller.config.apisix.adminKey" -}}
  {{- if has (include "pygateway.given" (dict "values" $values "path" .)) $public -}}
    {{- fail (printf "%s: this is the key that everybody knows (CVE-2020-13945); take it out, there is no administration API here" .) -}}
  {{- end -}}
{{- end -}}
{{- if not (has .v.gateway.tls.sslProtocols (list "TLSv1.2 TLSv1.3" "TLSv1.3 TLSv1.2" "TLSv1.3")) -}}
  {{- fail "gateway.tls.sslProtocols: it is \"TLSv1.2 TLSv1.3\" or \"TLSv1.3\"" -}}
{{- end -}}
{{- if and .v.gateway.proxyProtocol.https.enabled (not .v.gateway.tls.enabled) -}}
  {{- fail "gateway.proxyProtocol.https.enabled: it serves what gateway.tls does, which is not enabled" -}}
{{- end -}}
{{- if and $values.watchNamespaces .v.namespaceSelector -}}
  {{- fail "watchNamespaces and namespaceSelector: say one of them" -}}
{{- end -}}
{{- end -}}

{{- define "pygateway.unsupported" -}}
gateway.tls.additionalContainerPorts: further ports are not supported yet
service.tls.additionalContainerPorts: further ports are not supported yet
apisix.ssl.additionalContainerPorts: further ports are not supported yet
gateway.tls.fallbackSNI: say settings.default_certificate, a Secret
service.tls.fallbackSNI: say settings.default_certificate, a Secret
apisix.ssl.fallbackSNI: say settings.default_certificate, a Secret
gateway.tls.existingCASecret: say whom to trust in a BackendTLSPolicy
service.tls.existingCASecret: say whom to trust in a BackendTLSPolicy
apisix.ssl.existingCASecret: say whom to trust in a BackendTLSPolicy
apisix.ssl.enableHTTP3: HTTP/3 is not supported
apisix.proxyProtocol.enabled: say gateway.proxyProtocol.http.enabled and gateway.proxyProtocol.https.enabled
gateway.stream.only: say gateway.http.enabled and gateway.tls.enabled
service.stream.only: say gateway.http.enabled and gateway.tls.enabled
gateway.http.additionalContainerPorts: further ports are not supported yet
service.http.additionalContainerPorts: further ports are not supported yet
gateway.ingress.enabled: an Ingress in front of the gateway is not supported; apply one of your own
ingress.enabled: an Ingress in front of the gateway is not supported; apply one of your own
useDaemonSet: only a Deployment is supported
{{- end -}}

{{/* Keys of APISIX's charts that mean nothing here, and why. */}}
{{- define "pygateway.meaningless" -}}
ingress-controller.enabled: the controller is always there
ingress-controller.config.apisix: there is no administration API between controller and gateway
ingress-controller.config.kubernetes.apisixRouteVersion: both versions are read
ingress-controller.config.kubernetes.apiVersion: both versions are read
ingress-controller.config.kubernetes.ingressVersion: networking.k8s.io/v1 is read
ingress-controller.config.kubernetes.watchEndpointSlices: they are always watched
ingress-controller.config.kubernetes.enableGatewayAPI: Gateway API is read where its CRDs are
ingress-controller.config.kubernetes.resyncInterval: nothing is read again that a watch has seen
ingress-controller.config.kubernetes.electionId: the Lease has the name of the release
ingress-controller.config.kubernetes.kubeconfig: the cluster is the one that it runs in
ingress-controller.config.apisixResourceSyncInterval: there is nothing to keep in step
ingress-controller.config.ingressPublishService: it is the gateway Service
ingress-controller.config.pluginMetadataCM: not supported
ingress-controller.config.logLevel: see log.level
ingress-controller.config.logOutput: the log goes to standard error
ingress-controller.config.enableProfiling: not supported
ingress-controller.config.httpListen: see metrics.containerPort
ingress-controller.config.httpsListen: see metrics.containerPort
ingress-controller.config.metricsAddr: see metrics.containerPort
ingress-controller.config.probeAddr: see metrics.containerPort
ingress-controller.config.secureMetrics: not supported
ingress-controller.config.etcdserver: there is no etcd
ingress-controller.config.provider: nothing is pushed anywhere
ingress-controller.config.execADCTimeout: nothing is pushed anywhere
ingress-controller.config.controllerName: see gatewayClass.controllerName
ingress-controller.config.leaderElection: see leaderElection
ingress-controller.config.disableGatewayAPI: Gateway API is read where its CRDs are
ingress-controller.config.enableHTTP2: HTTP/2 is not supported yet
ingress-controller.replicaCount: see replicaCount
ingress-controller.image: see image
ingress-controller.resources: see resources
ingress-controller.autoscaling: see autoscaling
ingress-controller.podDisruptionBudget: see podDisruptionBudget
ingress-controller.serviceMonitor: see metrics.serviceMonitor
ingress-controller.rbac: see rbac
ingress-controller.serviceAccount: see serviceAccount
ingress-controller.clusterDomain: endpoints are addresses, not names
ingress-controller.service: the controller has no Service
ingress-controller.deployment: there is one Deployment, see the values at the top
ingress-controller.webhook: objects are judged in their status
ingress-controller.gatewayProxy: there is no other data plane
ingress-controller.apisix: there is no administration API between controller and gateway
etcd: there is no etcd
externalEtcd: there is no etcd
dashboard: see metrics.dashboard
admin: there is no administration API
control: there is no control API; the admin port has /routes and /explain
deployment: there is one kind of deployment
nginx: there is no nginx
dns: the cluster's own is used
plugins: nothing needs to be switched on
stream_plugins: nothing needs to be switched on
initContainer: there is nothing to wait for
timezone: times are UTC
logs.accessLog: the access log goes to standard output
logs.accessLogFormat: see accessLog.format
logs.accessLogFormatEscape: see accessLog.format
logs.errorLog: the log goes to standard error
logs.errorLogLevel: see log.level
autoscaling.version: autoscaling/v2 is used
gateway.tls.http2: clients have the choice
service.tls.http2: clients have the choice
gateway.tls.certCAFilename: say whom to trust in a BackendTLSPolicy
service.tls.certCAFilename: say whom to trust in a BackendTLSPolicy
gateway.ingress: apply an Ingress of your own
ingress: apply one of your own
apisix.admin: there is no administration API
apisix.deployment: there is one kind of deployment
apisix.dns: the cluster's own is used
apisix.httpRouter: hosts come before paths, always
apisix.router: hosts come before paths, always
apisix.kind: it is a Deployment
apisix.enabled: controller and gateway are one program
apisix.enableIPv6: the cluster says which addresses a pod has
apisix.enableHTTP2: HTTP/2 is not supported yet
apisix.enableServerTokens: answers of the gateway do not say a version
apisix.setIDFromPodUID: replicas need no identity
apisix.status: see metrics.containerPort
apisix.timezone: times are UTC
apisix.ssl.http2: clients have the choice
apisix.ssl.certCAFilename: say whom to trust in a BackendTLSPolicy
apisix.ssl.sslCiphers: see settings.tls_ciphers
apisix.proxyProtocol: see gateway.proxyProtocol
apisix.plugins: nothing needs to be switched on
apisix.stream_plugins: nothing needs to be switched on
apisix.readinessProbe: readiness is asked of the admin port
apisix.nginx.workerRlimitNofile: the limit of the container is used
apisix.nginx.workerConnections: see settings.max_connections
apisix.nginx.workerProcesses: see workers
apisix.nginx.enableCPUAffinity: not supported
apisix.nginx.keepaliveTimeout: see settings.keepalive_timeout
apisix.nginx.envs: see extraEnvVars
apisix.nginx.logs.accessLog: the access log goes to standard output
apisix.nginx.logs.accessLogFormat: see accessLog.format
apisix.nginx.logs.accessLogFormatEscape: see accessLog.format
apisix.nginx.logs.errorLog: the log goes to standard error
apisix.nginx.logs.errorLogLevel: see log.level
{{- end -}}

{{/* The given ones of them, one a line: path and reason. */}}
{{- define "pygateway.ignored" -}}
{{- range $path, $why := include "pygateway.meaningless" . | fromYaml }}
{{- with include "pygateway.given" (dict "values" $.Values "path" $path) }}
{{- $leaves := include "pygateway.leaves" (dict "at" (get (fromJson (printf "{\"it\":%s}" .)) "it") "path" $path) }}
{{- range splitList "\n" (trim $leaves) }}
  {{ . }}: {{ $why }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The paths of everything below `at` that is no map, one a line. */}}
{{- define "pygateway.leaves" -}}
{{- if kindIs "map" .at -}}
{{- range $key, $value := .at }}{{ include "pygateway.leaves" (dict "at" $value "path" (printf "%s.%s" $.path $key)) }}{{ end -}}
{{- else }}{{ .path }}
{{ end -}}
{{- end -}}
