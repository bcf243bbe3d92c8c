// Package schemas holds what Ratchet is told in files: decision rules, deal queries, message schemas and
// tables. They travel inside the binary, so that a copy of it runs anywhere.
package schemas
