{{- define "chatferry.labels" -}}
app.kubernetes.io/name: chatferry
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "chatferry.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "chatferry.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* One pod. Of: root, component, values (of that component), secrets (a list of names), data (a volume, or none). */}}
{{- define "chatferry.pod" -}}
metadata:
  labels:
    {{- include "chatferry.labels" . | nindent 4 }}
  annotations:
    # A changed setting starts new pods.
    checksum/settings: {{ include (print .root.Template.BasePath "/settings.yaml") .root | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ .root.Values.metrics.port | quote }}
spec:
  serviceAccountName: {{ .root.Release.Name }}
  automountServiceAccountToken: false
  # Otherwise a Service named chatferry-… becomes a variable CHATFERRY_…, which no setting is.
  enableServiceLinks: false
  {{- if .root.Values.userNamespaces }}
  hostUsers: false
  {{- end }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "chatferry.labels" . | nindent 10 }}
  initContainers:
    # Kubernetes gives secrets with a mode that the group can read, which chatferry refuses. Copied into memory.
    - name: secrets
      image: {{ include "chatferry.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [sh, -c, "umask 077 && cp -Lf /secrets/* /run/chatferry/"]
      securityContext:
        {{- include "chatferry.confined" . | nindent 8 }}
      resources:
        requests: { cpu: 10m, memory: 16Mi }
        limits: { cpu: 100m, memory: 32Mi }
      volumeMounts:
        - { name: secrets, mountPath: /secrets, readOnly: true }
        - { name: own-secrets, mountPath: /run/chatferry }
  containers:
    - name: chatferry
      image: {{ include "chatferry.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [run, --role, "{{ .component }},web"]
      envFrom:
        - configMapRef: { name: {{ .root.Release.Name }}-settings }
        - configMapRef: { name: {{ .root.Release.Name }}-{{ .component }} }
      ports:
        # For monitors: numbers and health. The status page has no login and stays on the pod's own loopback.
        - { name: metrics, containerPort: {{ .root.Values.metrics.port }} }
      securityContext:
        {{- include "chatferry.confined" . | nindent 8 }}
        {{- with .values.seccompProfile }}
        # Docker's standard forbids the namespaces that Chromium's sandbox is made of.
        seccompProfile: { type: Localhost, localhostProfile: {{ . }} }
        {{- end }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      startupProbe:
        exec: { command: [chatferry-healthcheck, /startupz] }
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: 120
      livenessProbe:
        exec: { command: [chatferry-healthcheck, /livez] }
        periodSeconds: 20
        timeoutSeconds: 6
        failureThreshold: 6
      readinessProbe:
        exec: { command: [chatferry-healthcheck, /readyz] }
        periodSeconds: 10
        timeoutSeconds: 6
        failureThreshold: 3
      volumeMounts:
        - { name: own-secrets, mountPath: /run/chatferry, readOnly: true }
        - { name: data, mountPath: /var/lib/chatferry }
        - { name: tmp, mountPath: /tmp }
        {{- if .values.shmSize }}
        # Chromium's renderers share pictures here; the 64 MB that a container has crash them.
        - { name: shm, mountPath: /dev/shm }
        {{- end }}
  volumes:
    - name: secrets
      projected:
        sources:
          {{- range .secrets }}
          - secret: { name: {{ . }} }
          {{- end }}
    - name: own-secrets
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
    - name: tmp
      emptyDir: { sizeLimit: 512Mi }
    {{- with .values.shmSize }}
    - name: shm
      emptyDir: { medium: Memory, sizeLimit: {{ . }} }
    {{- end }}
    {{- if not .values.storage }}
    # Nothing in it outlives the pod: events are in the broker, messages in the database.
    - name: data
      emptyDir: { sizeLimit: 256Mi }
    {{- end }}
{{- end }}
