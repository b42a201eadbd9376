{{- define "slipway.env" -}}
- name: SLIPWAY_REVISION
  value: {{ .Values.release.revision | quote }}
- name: SLIPWAY_IMAGE_DIGEST
  value: {{ .Values.image.digest | quote }}
- name: SLIPWAY_WORKERS
  value: {{ .Values.server.workers | quote }}
- name: SLIPWAY_THREADS
  value: {{ .Values.server.threads | quote }}
- name: SLIPWAY_LOG_LEVEL
  value: {{ .Values.server.logLevel | quote }}
- name: SLIPWAY_LAME_DUCK_SECONDS
  value: {{ include "slipway.lameDuckSeconds" . | quote }}
- name: SLIPWAY_GRACEFUL_SECONDS
  value: {{ .Values.drain.gracefulSeconds | quote }}
- name: PROMETHEUS_MULTIPROC_DIR
  value: /tmp/slipway-metrics
{{- with include "slipway.otlpEndpoint" . }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "slipway.resourceAttributes" $ | quote }}
{{- end }}
{{- with .Values.faults }}
{{- if .unready }}
- name: SLIPWAY_FAULT_UNREADY
  value: "true"
{{- end }}
{{- if .unhealthy }}
- name: SLIPWAY_FAULT_UNHEALTHY
  value: "true"
{{- end }}
{{- if .errors }}
- name: SLIPWAY_FAULT_ERRORS
  value: {{ .errors | quote }}
{{- end }}
{{- if .latencyMs }}
- name: SLIPWAY_FAULT_LATENCY_MS
  value: {{ .latencyMs | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Empty where nothing is sent. */}}
{{- define "slipway.otlpEndpoint" -}}
{{- if or (not .Values.otlp.onlyWith) (.Capabilities.APIVersions.Has .Values.otlp.onlyWith) -}}
{{- .Values.otlp.endpoint -}}
{{- end -}}
{{- end -}}

{{/* The pod's own name is in service.instance.id. */}}
{{- define "slipway.resourceAttributes" -}}
{{- $own := dict "k8s.namespace.name" .Release.Namespace "k8s.deployment.name" (include "slipway.name" .) -}}
{{- $all := merge (dict) (.Values.otlp.resourceAttributes | default dict) $own -}}
{{- $pairs := list -}}
{{- range $name := keys $all | sortAlpha -}}
{{- $pairs = append $pairs (printf "%s=%s" $name (get $all $name)) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{- define "slipway.otlpPort" -}}
{{- $parts := urlParse .Values.otlp.endpoint -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $parts.host) | default (ternary "443" "80" (eq $parts.scheme "https")) -}}
{{- end -}}
