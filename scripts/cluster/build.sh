#!/usr/bin/env bash
# build.sh: builds the Kubernetes API server that tests/cluster/go.mod names, Helm, and a collector of
# OpenTelemetry (tests/cluster/collector), each once, and installs etcd. Go fetches the sources from its
# module proxy. The first build takes minutes; what it makes is kept in the target folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=$(realpath -m "${CARGO_TARGET_DIR:-target}")/cluster
version=$(sed -n 's|^require k8s.io/kubernetes v||p; s|^\tk8s.io/kubernetes v||p' tests/cluster/go.mod)
if ! command -v etcd >/dev/null 2>&1; then
    apt-get install -y --no-install-recommends etcd-server
fi
if ! command -v go >/dev/null 2>&1; then
    echo 'no go found: install Go 1.26 or newer' >&2
    exit 1
fi
mkdir -p "$bin"
export CGO_ENABLED=0

helm=v3.22.0
if [ "$(cat "$bin/helm.version" 2>/dev/null)" != "$helm" ]; then
    GOBIN=$bin go install "helm.sh/helm/v3/cmd/helm@$helm"
    echo "$helm" >"$bin/helm.version"
fi

collector=$(cat tests/cluster/collector/{go.sum,main.go} | sha256sum)
if [ "$(cat "$bin/collector.version" 2>/dev/null)" != "$collector" ]; then
    (cd tests/cluster/collector && go build -mod=readonly -ldflags '-s -w' -o "$bin/collector" .)
    echo "$collector" >"$bin/collector.version"
fi

if [ "$("$bin/kube-apiserver" --version 2>/dev/null)" = "Kubernetes v$version" ]; then
    exit 0
fi
flags=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$version"
done
cd tests/cluster
go build -mod=readonly -ldflags "-s -w$flags" -o "$bin/kube-apiserver" \
    k8s.io/kubernetes/cmd/kube-apiserver
