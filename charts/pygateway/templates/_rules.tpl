{{/* What pygateway does with the objects of a namespace that it follows. */}}
{{- define "pygateway.rules.namespaced" -}}
# Where routes lead to.
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
# The routes themselves, and what they name.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, listenersets, httproutes, grpcroutes, tlsroutes, tcproutes, udproutes, referencegrants, backendtlspolicies]
  verbs: [list, watch]
# A Service is made for a Gateway that is there, and removed for one that is gone: that is asked, not watched.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [list, watch]
- apiGroups: [apisix.apache.org]
  resources: [apisixroutes, apisixupstreams, apisixtlses, apisixconsumers, apisixpluginconfigs, apisixglobalrules]
  verbs: [list, watch]
- apiGroups: [pygateway.dev]
  resources: [gatewayparameters]
  verbs: [list, watch]
# Certificates that listeners name. Service account tokens and Helm's records are left out by a field selector, the data
# of a Secret that nothing names is not decoded, and nothing is ever written.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
# Authorities of certificates, which are public. Of a ConfigMap nothing but ca.crt is kept.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch]
# What became of them: conditions and addresses.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways/status, listenersets/status, httproutes/status, grpcroutes/status, tlsroutes/status, tcproutes/status, udproutes/status, backendtlspolicies/status]
  verbs: [patch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses/status]
  verbs: [patch]
- apiGroups: [apisix.apache.org]
  resources:
  - apisixroutes/status
  - apisixupstreams/status
  - apisixtlses/status
  - apisixconsumers/status
  - apisixpluginconfigs/status
  - apisixglobalrules/status
  verbs: [patch]
# Faults of objects that have no conditions; one that was told before is counted on (read and patched).
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, create, patch]
# A Service of type ExternalName with the name of a Gateway, beside it: it leads to the Gateway's own Service. It is
# owned by the Gateway and goes with it, or when the Gateway is no longer ours; one that somebody else made is left alone.
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete]
{{- end -}}

{{/* What it does with objects that have no namespace. */}}
{{- define "pygateway.rules.cluster" -}}
# Gateways choose routes by the labels of namespaces; a namespace selector says which ones are followed.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
# The addresses of a Service with node ports are those of the nodes.
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
# Whose a Gateway or an Ingress is.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [list, watch]
- apiGroups: [apisix.apache.org]
  resources: [apisixclusterconfigs]
  verbs: [list, watch]
# Kinds that come and go with their CRDs, and versions that a CRD lacks.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
# Whether the class is ours, and what it can do.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses/status]
  verbs: [patch]
- apiGroups: [apisix.apache.org]
  resources: [apisixclusterconfigs/status]
  verbs: [patch]
# The class of this gateway, when the CRDs of Gateway API come after the chart.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [create]
{{- end -}}

{{/* What it does in its own namespace. */}}
{{- define "pygateway.rules.own" -}}
# Which replica writes. (A creation cannot be limited to a name.)
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "pygateway.fullname" . }}]
  verbs: [get, patch]
# The Services of Gateways, and the chart's own, whose addresses Ingress objects show.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
# The Deployment owns the Services of Gateways, so that they go with it.
- apiGroups: [apps]
  resources: [deployments]
  resourceNames: [{{ include "pygateway.fullname" . }}]
  verbs: [get]
{{- end -}}
