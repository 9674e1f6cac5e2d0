{{/* The settings of `pygateway run` as variables of its environment. Takes (root, v). */}}
{{- define "pygateway.environment" -}}
- name: PYGATEWAY_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: PYGATEWAY_POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- $variables := include "pygateway.variables" . | fromYaml -}}
{{- range $name, $value := .v.settings -}}
  {{- /* As JSON, which has no exponent for a large number. */ -}}
  {{- if kindIs "slice" $value -}}{{- $value = join "," $value -}}
  {{- else if not (kindIs "string" $value) -}}{{- $value = toJson $value -}}
  {{- end -}}
  {{- $_ := set $variables (printf "PYGATEWAY_%s" (upper $name)) $value -}}
{{- end -}}
{{- range $name, $value := $variables }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "pygateway.variables" -}}
{{- $v := .v -}}
{{- $fullname := include "pygateway.fullname" .root -}}
PYGATEWAY_HTTP: {{ ternary $v.gateway.http.containerPort 0 $v.gateway.http.enabled | quote }}
PYGATEWAY_HTTPS: {{ ternary $v.gateway.tls.containerPort 0 $v.gateway.tls.enabled | quote }}
{{- if eq $v.gateway.tls.sslProtocols "TLSv1.3" }}
PYGATEWAY_TLS_MIN_VERSION: "1.3"
{{- end }}
{{- with $v.gateway.proxyProtocol }}
{{- if .enabled }}
PYGATEWAY_PROXY_PROTOCOL: "on"
{{- end }}
{{- with .senders }}
PYGATEWAY_PROXY_PROTOCOL_SENDERS: {{ join "," . | quote }}
{{- end }}
{{- if .http.enabled }}
PYGATEWAY_PROXY_HTTP: {{ .http.containerPort | quote }}
{{- end }}
{{- if .https.enabled }}
PYGATEWAY_PROXY_HTTPS: {{ .https.containerPort | quote }}
{{- end }}
{{- end }}
{{- $tcp := include "pygateway.streamports" (dict "v" $v "protocol" "TCP" "tls" false) -}}
{{- $tls := include "pygateway.streamports" (dict "v" $v "protocol" "TCP" "tls" true) -}}
{{- $udp := include "pygateway.streamports" (dict "v" $v "protocol" "UDP" "tls" false) -}}
{{- with $tcp }}
PYGATEWAY_STREAM_TCP: {{ . | quote }}
{{- end }}
{{- with $tls }}
PYGATEWAY_STREAM_TLS: {{ . | quote }}
{{- end }}
{{- with $udp }}
PYGATEWAY_STREAM_UDP: {{ . | quote }}
{{- end }}
PYGATEWAY_ADMIN: {{ $v.metrics.containerPort | quote }}
PYGATEWAY_ADMIN_ADDRESS: 0.0.0.0
PYGATEWAY_WORKERS: {{ $v.workers | quote }}
PYGATEWAY_DRAIN_DELAY: {{ $v.drain.delay | quote }}
PYGATEWAY_DRAIN_GRACE: {{ $v.drain.grace | quote }}
PYGATEWAY_DRAIN_TIMEOUT: {{ $v.drain.timeout | quote }}
PYGATEWAY_DEPLOYMENT: {{ $fullname }}
PYGATEWAY_POD_SELECTOR: {{ printf "app.kubernetes.io/name=%s,app.kubernetes.io/instance=%s" (include "pygateway.name" .root) .root.Release.Name | quote }}
{{- $proxied := $v.gateway.proxyProtocol.http.enabled }}
{{- if or $v.gateway.http.enabled $v.gateway.tls.enabled $proxied (include "pygateway.streams" $v | fromJsonArray) }}
PYGATEWAY_SERVICE: {{ $fullname }}-gateway
{{- end }}
PYGATEWAY_LEASE: {{ $fullname }}
PYGATEWAY_LEADER_ELECTION: {{ $v.leaderElection | quote }}
PYGATEWAY_INGRESS_CLASS: {{ $v.ingressClass.name }}
{{- /* With a list of namespaces none is made or read, and Gateways are ours by this name. */}}
PYGATEWAY_GATEWAY_CLASS: {{ ternary $v.gatewayClass.name "" (or $v.gatewayClass.create (not (empty $v.watchNamespaces))) | quote }}
PYGATEWAY_CONTROLLER_NAME: {{ $v.gatewayClass.controllerName }}
{{- with $v.watchNamespaces }}
PYGATEWAY_WATCH_NAMESPACES: {{ join "," . | quote }}
{{- end }}
{{- with $v.namespaceSelector }}
PYGATEWAY_NAMESPACE_SELECTOR: {{ . | quote }}
{{- end }}
{{- with $v.publishAddresses }}
PYGATEWAY_PUBLISH_ADDRESSES: {{ join "," . | quote }}
{{- end }}
{{- with $v.trustedAddresses }}
PYGATEWAY_TRUSTED: {{ join "," . | quote }}
{{- end }}
PYGATEWAY_LOG_LEVEL: {{ $v.log.level }}
PYGATEWAY_LOG_FORMAT: {{ $v.log.format }}
PYGATEWAY_ACCESS_LOG: {{ ternary $v.accessLog.format "off" $v.accessLog.enabled | quote }}
{{- if $v.metrics.apisixCompat }}
PYGATEWAY_APISIX_METRICS: "true"
PYGATEWAY_APISIX_METRICS_PREFIX: {{ $v.metrics.apisixPrefix }}
{{- end }}
{{- end -}}

{{/* Whole seconds, and some for the processes to end. */}}
{{- define "pygateway.graceperiod" -}}
{{- addf .Values.drain.delay .Values.drain.grace .Values.drain.timeout 5 | ceil | int -}}
{{- end -}}
