// Package kubernetes holds the tests of deploy/kubernetes, in a module of its own: the types of the Kubernetes API
// are large, and nothing else needs them.
package kubernetes
