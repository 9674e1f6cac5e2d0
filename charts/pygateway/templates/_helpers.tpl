{{- define "pygateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 characters, so that `-gateway` and the like still fit. */}}
{{- define "pygateway.fullname" -}}
{{- $name := include "pygateway.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
The ports for stream rules of ApisixRoutes as a JSON list of {port, protocol: TCP or UDP, tls}. An entry is a port, or as in
APISIX's charts {addr: 9100, or "127.0.0.1:9100", tls: true}. Takes the values.
*/}}
{{- define "pygateway.streams" -}}
{{- $found := list -}}
{{- $stream := .gateway.stream -}}
{{- if $stream.enabled -}}
{{- range $protocol, $entries := dict "TCP" $stream.tcp "UDP" $stream.udp -}}
  {{- range $entries -}}
    {{- $one := ternary (get (dict "it" .) "it") (dict "addr" .) (kindIs "map" .) -}}
    {{- $text := ternary $one.addr (toJson $one.addr) (kindIs "string" $one.addr) -}}
    {{- $port := last (splitList ":" $text) -}}
    {{- if not (regexMatch "^[1-9][0-9]{0,4}$" $port) -}}
      {{- fail (printf "gateway.stream.%s: %s is no port" (lower $protocol) (toJson .)) -}}
    {{- end -}}
    {{- if and $one.tls (eq $protocol "UDP") -}}{{- fail "gateway.stream.udp: TLS goes over TCP" -}}{{- end -}}
    {{- $found = append $found (dict "port" (int $port) "protocol" $protocol "tls" (default false $one.tls)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Those of one protocol that end TLS, or do not, with commas between them. Takes (v, protocol, tls). */}}
{{- define "pygateway.streamports" -}}
{{- $found := list -}}
{{- $wanted := . -}}
{{- range include "pygateway.streams" .v | fromJsonArray -}}
  {{- if and (eq .protocol $wanted.protocol) (eq .tls $wanted.tls) -}}{{- $found = append $found (.port | int | toString) -}}{{- end -}}
{{- end -}}
{{- join "," $found -}}
{{- end -}}

{{/* For objects without a namespace: two releases of one name must not meet. */}}
{{- define "pygateway.clustername" -}}
{{- printf "%s-%s" .Release.Namespace (include "pygateway.fullname" .) -}}
{{- end -}}

{{- define "pygateway.selector" -}}
app.kubernetes.io/name: {{ include "pygateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pygateway.labels" -}}
{{ include "pygateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Takes (root, v). */}}
{{- define "pygateway.serviceaccount" -}}
{{- $default := ternary (include "pygateway.fullname" .root) "default" .v.serviceAccount.create -}}
{{- .v.serviceAccount.name | default $default -}}
{{- end -}}

{{- define "pygateway.image" -}}
{{- printf "%s:%s" .v.image.repository (.v.image.tag | default .root.Chart.AppVersion | toString) -}}
{{- end -}}

{{- define "pygateway.pullsecrets" -}}
{{- $names := concat (.Values.imagePullSecrets | default list) (dig "imagePullSecrets" list (.Values.global | default dict)) -}}
{{- with $names -}}
imagePullSecrets:
{{- range . }}
- name: {{ ternary (get (dict "it" .) "it") (get (ternary . dict (kindIs "map" .)) "name") (kindIs "string" .) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The map `given` with those keys of `defaults` that it lacks, as YAML. (`merge` takes a false for an absent value.) */}}
{{- define "pygateway.filled" -}}
{{- $result := deepCopy .given -}}
{{- range $key, $value := .defaults -}}
  {{- if not (hasKey $result $key) -}}{{- $_ := set $result $key $value -}}{{- end -}}
{{- end -}}
{{- toYaml $result -}}
{{- end -}}

{{- define "pygateway.podsecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "pygateway.containersecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Whether this release may make the object without a namespace: it is not there, or it is ours already. Takes
(root, apiVersion, kind, name); "true" or nothing. */}}
{{- define "pygateway.mine" -}}
{{- $there := lookup .apiVersion .kind "" .name -}}
{{- $notes := dig "metadata" "annotations" dict ($there | default dict) -}}
{{- if or (not $there) (and (eq (get $notes "meta.helm.sh/release-name") .root.Release.Name) (eq (get $notes "meta.helm.sh/release-namespace") .root.Release.Namespace)) -}}
true
{{- end -}}
{{- end -}}
