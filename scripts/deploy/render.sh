#!/usr/bin/env bash
# render.sh FOLDER: writes the manifests of deploy/kubernetes to a folder, as the chart gives them.
# HELM names the helm to use.
set -euo pipefail
out=$(realpath "$1")
cd "$(dirname "$0")/../.."

# What only Helm means, and where it took things from, is left out; so is its test.
render() {
    "${HELM:-helm}" template alaz deploy/helm/alaz --kube-version 1.30.0 --no-hooks "$@" |
        sed -e '/^# Source: /d' -e '/^ *app.kubernetes.io\/managed-by: /d' -e '/^ *helm.sh\/chart: /d'
}

{
    cat <<'TEXT'
# Alaz: an agent on every node, and one server with the map of all of them. One command:
#
#   sed "s/<TOKEN>/$(openssl rand -hex 16)/" alaz.yaml | kubectl apply -f -
#
# Then: kubectl -n alaz port-forward service/alaz-server 8014
# To remove it: kubectl delete -f alaz.yaml
# Made of deploy/helm/alaz by scripts/deploy/render.sh; change it there.
---
apiVersion: v1
kind: Namespace
metadata:
  name: alaz
  labels:
    # Agents see the processes of their nodes.
    pod-security.kubernetes.io/enforce: privileged
TEXT
    render --namespace alaz --set token.value='<TOKEN>'
} >"$out/alaz.yaml"

{
    cat <<'TEXT'
# Alaz: an agent on every node that tells an Anteon or Ddosify account, and nobody else.
#
#   sed -i "s/<MONITORING_ID>/$MONITORING_ID/g" alaz-anteon.yaml
#   kubectl create namespace anteon
#   kubectl apply -f alaz-anteon.yaml
#
# Self-Hosted: replace https://api-alaz.getanteon.com:443 too. Another namespace: replace all
# `namespace: anteon`.
# To remove it: kubectl delete -f alaz-anteon.yaml
# Made of deploy/helm/alaz by scripts/deploy/render.sh; change it there.
TEXT
    render --namespace anteon --set monitoringID=MONITORING_ID | sed 's/"MONITORING_ID"/"<MONITORING_ID>"/'
} >"$out/alaz-anteon.yaml"
