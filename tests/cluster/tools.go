//go:build tools

// Package cluster says which Kubernetes the tests run against.
package cluster

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
