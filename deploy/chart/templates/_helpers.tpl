{{/* Start of every name. At most 46 characters, so that the longest name made of it, with what controllers append, fits a label. */}}
{{- define "istio-discovery.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) -}}{{- $name = printf "%s-%s" $name .Chart.Name -}}{{- end -}}
{{- $name | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select the pods of a component. Input: dict "root" $ "component" "collector". */}}
{{- define "istio-discovery.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object. Same input. */}}
{{- define "istio-discovery.labels" -}}
{{ include "istio-discovery.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of pods. No sidecar and no ambient capture: CoreDNS, which has neither, connects to the collector in plain TCP. */}}
{{- define "istio-discovery.podLabels" -}}
{{ include "istio-discovery.labels" . }}
sidecar.istio.io/inject: "false"
istio.io/dataplane-mode: none
{{- end -}}

{{/* Reference of an image. Input: dict "image" (its values) "tag" (the tag if the values have none). */}}
{{- define "istio-discovery.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end -}}

{{/* Fields of every pod. Input as for the labels, and "user" (its numeric user and group). */}}
{{- define "istio-discovery.podSpec" -}}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ .root.Values.topologySpread }}
    labelSelector:
      matchLabels: {{- include "istio-discovery.selectorLabels" . | nindent 8 }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Security context of every container. */}}
{{- define "istio-discovery.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where the program finds Redis. */}}
{{- define "istio-discovery.storeEnvironment" -}}
{{- if .Values.redis.bundled.enabled }}
- name: ISTIO_DISCOVERY_STORE_URL
  value: redis://{{ include "istio-discovery.fullname" . }}-redis:6379
- name: ISTIO_DISCOVERY_STORE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "istio-discovery.redisSecret" . }}
      key: password
{{- else }}
- name: ISTIO_DISCOVERY_STORE_URL
  valueFrom:
    secretKeyRef:
      name: {{ required "redis.bundled.enabled is false, so redis.external.existingSecret must name the Secret with the URL of your Redis" .Values.redis.external.existingSecret }}
      key: {{ .Values.redis.external.key }}
{{- end }}
{{- end -}}

{{/* The password of the bundled Redis, base64: what is in its Secret already, else made once a rendering. */}}
{{- define "istio-discovery.redisPassword" -}}
{{- if not (hasKey .Values.redis.bundled "generatedPassword") -}}
{{- $existing := lookup "v1" "Secret" .Release.Namespace (include "istio-discovery.redisSecret" .) -}}
{{- $kept := dig "data" "password" "" (default dict $existing) -}}
{{- $_ := set .Values.redis.bundled "generatedPassword" ($kept | default (randAlphaNum 40 | b64enc)) -}}
{{- end -}}
{{- .Values.redis.bundled.generatedPassword -}}
{{- end -}}

{{- define "istio-discovery.redisSecret" -}}
{{- .Values.redis.bundled.existingSecret | default (printf "%s-redis" (include "istio-discovery.fullname" .)) -}}
{{- end -}}

{{- define "istio-discovery.reconcilerServiceAccount" -}}
{{- .Values.reconciler.serviceAccountName | default (printf "%s-reconciler" (include "istio-discovery.fullname" .)) -}}
{{- end -}}

{{/* The program's configuration file. */}}
{{- define "istio-discovery.configuration" -}}
{{- $leaderElection := gt (int .Values.reconciler.replicas) 1 -}}
{{- $computed := dict "reconcile" (dict "leaderElection" $leaderElection) -}}
{{- merge $computed (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{/* Settings of the program as environment variables, for a container that no file of ours can be mounted into. */}}
{{- define "istio-discovery.settingsEnvironment" -}}
{{- range $section := list "dnstap" "observation" "log" -}}
{{- range $key, $value := index $.Values.config $section }}
- name: {{ printf "ISTIO_DISCOVERY_%s_%s" $section ($key | snakecase) | upper }}
  value: {{ kindIs "slice" $value | ternary (join "," (kindIs "slice" $value | ternary $value list)) (kindIs "float64" $value | ternary (printf "%.0f" (float64 (kindIs "float64" $value | ternary $value 0.0))) (toString $value)) | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
