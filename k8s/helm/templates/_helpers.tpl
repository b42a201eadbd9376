{{- define "slipway.name" -}}
{{- .Chart.Name -}}
{{- end -}}

{{- define "slipway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "slipway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* A label holds 63 characters of a small alphabet: twelve of the commit say enough, and a "-dirty" after it stays. */}}
{{- define "slipway.version" -}}
{{- $revision := .Values.release.revision | default "unknown" -}}
{{- $short := regexReplaceAll "^([0-9a-f]{12})[0-9a-f]*" $revision "${1}" -}}
{{- regexReplaceAll "[^A-Za-z0-9._-]" $short "-" | trunc 63 | trimAll "-._" -}}
{{- end -}}

{{- define "slipway.labels" -}}
{{ include "slipway.selectorLabels" . }}
app.kubernetes.io/version: {{ include "slipway.version" . | quote }}
app.kubernetes.io/part-of: slipway
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "slipway.image" -}}
{{- $image := .Values.image -}}
{{- if not $image.repository -}}{{- fail "image.repository is empty: set it to registry/name" -}}{{- end -}}
{{- if and (not $image.digest) (not $image.allowTag) -}}
{{- fail "image.digest is empty: a release is deployed by digest (image.allowTag=true is for local experiments)" -}}
{{- end -}}
{{- if not (or $image.digest $image.tag) -}}{{- fail "image.tag is empty: without a digest a tag must be named" -}}{{- end -}}
{{- $image.repository }}{{ with $image.tag }}:{{ . }}{{ end }}{{ with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "slipway.preStopSeconds" -}}
{{- ternary (int .Values.drain.preStopSeconds) 0 .Values.drain.enabled -}}
{{- end -}}

{{- define "slipway.lameDuckSeconds" -}}
{{- ternary (int .Values.drain.lameDuckSeconds) 0 .Values.drain.enabled -}}
{{- end -}}

{{/* Seconds from the order to stop until SIGKILL. */}}
{{- define "slipway.gracePeriod" -}}
{{- $drain := .Values.drain -}}
{{- if lt (int $drain.marginSeconds) 1 -}}
{{- fail "drain.marginSeconds must be at least 1: with none, a request that uses all of gracefulSeconds is killed" -}}
{{- end -}}
{{- $preStop := int (include "slipway.preStopSeconds" .) -}}
{{- $readiness := .Values.probes.readiness -}}
{{- $unready := mul (int $readiness.periodSeconds) (int $readiness.failureThreshold) -}}
{{- if and (gt $preStop 0) (le $preStop (int $unready)) -}}
{{- fail (printf "drain.preStopSeconds (%d) must be more than probes.readiness.periodSeconds x failureThreshold (%d): traffic must have left before SIGTERM" $preStop $unready) -}}
{{- end -}}
{{- add $preStop (int (include "slipway.lameDuckSeconds" .)) (int $drain.gracefulSeconds) (int $drain.marginSeconds) -}}
{{- end -}}

{{/* What Pod Security "restricted" asks of every pod and container. */}}
{{- define "slipway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "slipway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}
