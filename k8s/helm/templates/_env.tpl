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
