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

{{/* Where the program finds Redis. Input: dict "root" $ "isSidecar" (it is for the pods of the cluster DNS). */}}
{{- define "istio-discovery.storeEnvironment" -}}
{{- $external := .root.Values.redis.external -}}
{{- if .root.Values.redis.bundled.enabled }}
{{- if .isSidecar }}
# The installer puts the address in: pods of the cluster DNS cannot look up Services.
- name: REDIS_ADDRESS
  value: ''
{{- end }}
- name: ISTIO_DISCOVERY_STORE_URL
  value: redis://{{ .isSidecar | ternary "$(REDIS_ADDRESS)" (printf "%s-redis" (include "istio-discovery.fullname" .root)) }}:6379
{{ include "istio-discovery.secretVariable" (dict "variable" "PASSWORD" "name" (include "istio-discovery.redisSecret" .root) "key" "password" "isSidecar" .isSidecar) }}
{{- else }}
{{- $name := required "redis.bundled.enabled is false, so redis.external.existingSecret must name the Secret with the URL of your Redis" $external.existingSecret -}}
{{ include "istio-discovery.secretVariable" (dict "variable" "URL" "name" $name "key" $external.key "isSidecar" .isSidecar) }}
{{- with $external.passwordKey }}
{{ include "istio-discovery.secretVariable" (dict "variable" "PASSWORD" "name" $name "key" . "isSidecar" $.isSidecar) }}
{{- end }}
{{- with $external.sentinelPasswordKey }}
{{ include "istio-discovery.secretVariable" (dict "variable" "SENTINEL_PASSWORD" "name" $name "key" . "isSidecar" $.isSidecar) }}
{{- end }}
{{- with $external.tls.existingSecret }}
- name: ISTIO_DISCOVERY_STORE_TLS_CA_FILE
  value: /etc/istio-discovery-redis/ca.crt
{{- if $external.tls.clientCertificate }}
- name: ISTIO_DISCOVERY_STORE_TLS_CERT_FILE
  value: /etc/istio-discovery-redis/tls.crt
- name: ISTIO_DISCOVERY_STORE_TLS_KEY_FILE
  value: /etc/istio-discovery-redis/tls.key
{{- end }}
{{- end }}
{{- with $external.tls.serverName }}
- name: ISTIO_DISCOVERY_STORE_TLS_SERVER_NAME
  value: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A variable from a Secret. For CoreDNS's pods it is optional: what is missing must not keep them from starting. */}}
{{- define "istio-discovery.secretVariable" -}}
- name: ISTIO_DISCOVERY_STORE_{{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
      {{- if .isSidecar }}
      optional: true
      {{- end }}
{{- end -}}

{{/* The files that storeEnvironment names, as a list of mounts and one of volumes. */}}
{{- define "istio-discovery.storeMounts" -}}
{{- if and (not .Values.redis.bundled.enabled) .Values.redis.external.tls.existingSecret -}}
- name: istio-discovery-redis-tls
  mountPath: /etc/istio-discovery-redis
  readOnly: true
{{- end -}}
{{- end -}}
{{- define "istio-discovery.storeVolumes" -}}
{{- if and (not .Values.redis.bundled.enabled) .Values.redis.external.tls.existingSecret -}}
- name: istio-discovery-redis-tls
  secret:
    secretName: {{ .Values.redis.external.tls.existingSecret }}
    optional: true
{{- end -}}
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
  value: {{ kindIs "slice" $value | ternary (toJson $value) (kindIs "float64" $value | ternary (printf "%.0f" (float64 (kindIs "float64" $value | ternary $value 0.0))) (toString $value)) | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
