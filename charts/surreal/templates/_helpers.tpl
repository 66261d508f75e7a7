{{- define "surreal.namespace" -}}
{{- default .Release.Namespace .Values.namespace.name -}}
{{- end }}

{{- define "surreal.selector" -}}
app.kubernetes.io/name: surreal
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "surreal.labels" -}}
{{ include "surreal.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "surreal.metadata" -}}
namespace: {{ include "surreal.namespace" . | quote }}
labels:
  {{- include "surreal.labels" . | nindent 2 }}
{{- end }}

{{- define "surreal.image" -}}
{{- with .Values.tensorboard.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "surreal.operatorImage" -}}
{{- with .Values.operator.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* "true" unless another release, or kubectl, has put the definitions there: a cluster has them once */ -}}
{{- define "surreal.hasDefinitions" -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "experiments.surreal.dev" -}}
{{- $release := dig "metadata" "annotations" "meta.helm.sh/release-name" "" (default dict $there) -}}
{{- $namespace := dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" (default dict $there) -}}
{{- if or (not $there) (and (eq $release .Release.Name) (eq $namespace .Release.Namespace)) -}}
true
{{- end -}}
{{- end }}

{{- define "surreal.kueue" -}}
{{- if .Capabilities.APIVersions.Has "kueue.x-k8s.io/v1beta2" -}}
kueue.x-k8s.io/v1beta2
{{- else -}}
kueue.x-k8s.io/v1beta1
{{- end -}}
{{- end }}
