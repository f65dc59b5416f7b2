{{- define "nodeprobe.selector" -}}
app.kubernetes.io/name: nodeprobe
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nodeprobe.labels" -}}
{{ include "nodeprobe.selector" . }}
app.kubernetes.io/part-of: nodeprobe
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "nodeprobe.config" -}}
{{ .Values.config | default (.Files.Get "files/nodeprobe.toml") }}
{{- end }}

{{/* A ClusterRoleBinding of the role with this name. */}}
{{- define "nodeprobe.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "nodeprobe.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .root.Release.Name }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
