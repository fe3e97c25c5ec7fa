{{/* Names and labels. */}}

{{- define "alaz.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "alaz.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "alaz.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "alaz.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "alaz.selector" -}}
app.kubernetes.io/name: {{ include "alaz.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "alaz.labels" -}}
{{ include "alaz.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "alaz.mode" -}}
{{- if .Values.mode -}}{{ .Values.mode }}
{{- else if .Values.monitoringID -}}agents
{{- else -}}all
{{- end -}}
{{- end -}}

{{- define "alaz.hasAgents" -}}
{{- if ne (include "alaz.mode" .) "server" }}yes{{ end -}}
{{- end -}}

{{- define "alaz.hasServer" -}}
{{- if ne (include "alaz.mode" .) "agents" }}yes{{ end -}}
{{- end -}}

{{/* Where agents tell what they see; empty where only a backend is told. */}}
{{- define "alaz.serverUrl" -}}
{{- if .Values.server.url -}}{{ .Values.server.url }}
{{- else if include "alaz.hasServer" . -}}
http://{{ include "alaz.fullname" . }}-server.{{ .Release.Namespace }}.svc:{{ .Values.server.service.otlpPort }}
{{- end -}}
{{- end -}}

{{- define "alaz.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- if $image.registry -}}{{- $name = printf "%s/%s" $image.registry $image.repository -}}{{- end -}}
{{- if $image.digest -}}{{ $name }}@{{ $image.digest }}
{{- else -}}{{ $name }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "alaz.tokenSecret" -}}
{{- default (printf "%s-token" (include "alaz.fullname" .)) .Values.token.existingSecret -}}
{{- end -}}

{{- define "alaz.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (printf "%s-agent" (include "alaz.fullname" .)) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What the agent's containers may do. */}}
{{- define "alaz.agentSecurity" -}}
{{- if eq .Values.agent.securityMode "privileged" -}}
privileged: true
readOnlyRootFilesystem: true
{{- else -}}
# Capabilities count for root only, without files that carry them.
runAsUser: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  # Programs of the kernel side; reading memory with them; names of other users' processes.
  add: [BPF, PERFMON, SYS_PTRACE]
{{- end -}}
{{- end -}}
