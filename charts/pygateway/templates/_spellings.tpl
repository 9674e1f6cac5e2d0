{{/*
Every value that can be said in more than one way, or whose default must not look like something that the user said:
its own name, the names that it has in APISIX's charts (`also`), its default.
*/}}
{{- define "pygateway.spellings" -}}
gateway.type: {also: [service.type], default: NodePort}
gateway.externalTrafficPolicy: {also: [service.externalTrafficPolicy], default: Cluster}
gateway.externalIPs: {also: [service.externalIPs], default: []}
gateway.loadBalancerIP: {also: [service.loadBalancerIP], default: ""}
gateway.loadBalancerClass: {default: ""}
gateway.loadBalancerSourceRanges: {also: [service.loadBalancerSourceRanges], default: []}
gateway.annotations: {also: [service.annotations], default: {}}
gateway.labelsOverride: {also: [service.labelsOverride], default: {}}
gateway.http.enabled: {also: [service.http.enabled], default: true}
gateway.http.servicePort: {also: [service.http.servicePort], default: 80}
gateway.http.containerPort: {also: [service.http.containerPort], default: 9080}
gateway.http.nodePort: {also: [service.http.nodePort], default: 0}
gateway.tls.enabled: {also: [service.tls.enabled, apisix.ssl.enabled], default: false}
gateway.tls.servicePort: {also: [service.tls.servicePort], default: 443}
gateway.tls.containerPort: {also: [service.tls.containerPort, apisix.ssl.containerPort], default: 9443}
gateway.tls.nodePort: {also: [service.tls.nodePort], default: 0}
gateway.tls.sslProtocols: {also: [service.tls.sslProtocols, apisix.ssl.sslProtocols], default: TLSv1.2 TLSv1.3}
gateway.proxyProtocol.enabled: {default: false}
gateway.proxyProtocol.senders: {default: []}
gateway.proxyProtocol.http.enabled: {default: false}
gateway.proxyProtocol.http.servicePort: {default: 9181}
gateway.proxyProtocol.http.containerPort: {default: 9181}
gateway.proxyProtocol.https.enabled: {default: false}
gateway.proxyProtocol.https.servicePort: {default: 9182}
gateway.proxyProtocol.https.containerPort: {default: 9182}
gateway.stream.enabled: {also: [service.stream.enabled], default: false}
gateway.stream.tcp: {also: [service.stream.tcp], default: []}
gateway.stream.udp: {also: [service.stream.udp], default: []}
image.repository: {also: [apisix.image.repository], default: pygateway}
image.tag: {also: [apisix.image.tag], default: ""}
image.pullPolicy: {also: [apisix.image.pullPolicy], default: IfNotPresent}
replicaCount: {also: [apisix.replicaCount], default: 2}
resources.requests: {also: [apisix.resources.requests], default: {cpu: 250m, memory: 256Mi}}
resources.limits: {also: [apisix.resources.limits], default: {memory: 1Gi}}
autoscaling.enabled: {default: false}
autoscaling.minReplicas: {default: 2}
autoscaling.maxReplicas: {default: 10}
autoscaling.targetCPUUtilizationPercentage: {default: 80}
autoscaling.targetMemoryUtilizationPercentage: {default: 0}
podDisruptionBudget.enabled: {also: [apisix.podDisruptionBudget.enabled], default: true}
podDisruptionBudget.minAvailable: {also: [apisix.podDisruptionBudget.minAvailable], default: ""}
podDisruptionBudget.maxUnavailable: {also: [apisix.podDisruptionBudget.maxUnavailable], default: 1}
podAnnotations: {also: [apisix.podAnnotations], default: {}}
podLabels: {default: {}}
podSecurityContext: {also: [apisix.podSecurityContext], default: {}}
securityContext: {also: [apisix.securityContext], default: {}}
nodeSelector: {also: [apisix.nodeSelector], default: {}}
tolerations: {also: [apisix.tolerations], default: []}
affinity: {also: [apisix.affinity], default: {}}
topologySpreadConstraints: {also: [apisix.topologySpreadConstraints], default: []}
priorityClassName: {also: [apisix.priorityClassName], default: ""}
hostNetwork: {also: [apisix.hostNetwork], default: false}
updateStrategy: {default: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}}
extraEnvVars: {also: [apisix.extraEnvVars], default: []}
extraVolumes: {default: []}
extraVolumeMounts: {default: []}
extraContainers: {default: []}
extraInitContainers: {default: []}
namespaceSelector: {also: [ingress-controller.config.kubernetes.namespaceSelector], default: ""}
ingressClass.name: {also: [ingress-controller.config.kubernetes.ingressClass], default: pygateway}
ingressClass.default: {also: [ingress-controller.config.kubernetes.defaultIngressClass], default: false}
publishAddresses: {also: [ingress-controller.config.ingressStatusAddress], default: []}
trustedAddresses: {also: [apisix.trustedAddresses], default: []}
accessLog.enabled: {also: [logs.enableAccessLog, apisix.nginx.logs.enableAccessLog], default: true}
metrics.containerPort: {also: [apisix.prometheus.containerPort, serviceMonitor.containerPort], default: 9091}
metrics.apisixCompat: {also: [apisix.prometheus.enabled], default: false}
metrics.apisixPrefix: {also: [apisix.prometheus.metricPrefix, serviceMonitor.metricPrefix], default: apisix_}
metrics.serviceMonitor.enabled: {also: [serviceMonitor.enabled], default: true}
metrics.serviceMonitor.namespace: {also: [serviceMonitor.namespace], default: ""}
metrics.serviceMonitor.name: {also: [serviceMonitor.name], default: ""}
metrics.serviceMonitor.path: {also: [serviceMonitor.path, apisix.prometheus.path], default: /metrics}
metrics.serviceMonitor.interval: {also: [serviceMonitor.interval], default: 15s}
metrics.serviceMonitor.labels: {also: [serviceMonitor.labels], default: {}}
metrics.serviceMonitor.annotations: {also: [serviceMonitor.annotations], default: {}}
metrics.serviceMonitor.metricRelabelings: {also: [serviceMonitor.metricRelabelings], default: []}
serviceAccount.create: {default: true}
serviceAccount.name: {default: ""}
serviceAccount.annotations: {default: {}}
rbac.create: {default: true}
{{- end -}}

{{/*
The values with every spelling brought to its own name and every default filled in, as JSON. Ends the rendering when
two spellings disagree.
*/}}
{{- define "pygateway.values" -}}
{{- $result := deepCopy .Values -}}
{{- range $path, $row := include "pygateway.spellings" . | fromYaml -}}
  {{- $said := "" -}}{{- $by := "" -}}
  {{- range prepend (default list $row.also) $path -}}
    {{- $one := include "pygateway.given" (dict "values" $.Values "path" .) -}}
    {{- if and (eq $path "namespaceSelector") (hasPrefix "[" $one) -}}
      {{- $one = join "," (compact (fromJsonArray $one)) | toJson -}}
    {{- end -}}
    {{- if and $said $one (ne $said $one) -}}
      {{- fail (printf "%s (%s) and %s (%s) disagree: say one of them" $by $said . $one) -}}
    {{- end -}}
    {{- if and $one (not $said) -}}{{- $said = $one -}}{{- $by = . -}}{{- end -}}
  {{- end -}}
  {{- $value := $row.default -}}
  {{- if $said -}}{{- $value = get (fromJson (printf "{\"it\":%s}" $said)) "it" -}}{{- end -}}
  {{- $at := $result -}}
  {{- range initial (splitList "." $path) -}}
    {{- if not (kindIs "map" (get $at .)) -}}{{- $_ := set $at . dict -}}{{- end -}}
    {{- $at = get $at . -}}
  {{- end -}}
  {{- $_ := set $at (last (splitList "." $path)) $value -}}
{{- end -}}
{{- toJson $result -}}
{{- end -}}

{{/* What `values` has at `path`, as JSON; nothing where it is absent, null or empty. */}}
{{- define "pygateway.given" -}}
{{- $at := .values -}}
{{- $there := true -}}
{{- range splitList "." .path -}}
  {{- if and $there (kindIs "map" $at) (hasKey $at .) -}}{{- $at = get $at . -}}
  {{- else -}}{{- $there = false -}}
  {{- end -}}
{{- end -}}
{{- if and $there (not (has (toJson $at) (list "null" "\"\"" "[]" "{}"))) -}}{{- toJson $at -}}{{- end -}}
{{- end -}}
