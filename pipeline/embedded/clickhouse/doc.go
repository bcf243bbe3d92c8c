// Package clickhouse is a ClickHouse server without installing one: the real engine
// in a child process of our own, behind an HTTP endpoint on the loopback interface
// that clickhouse-go, curl, JDBC and Grafana use like a server's. It does not speak
// the native protocol: clickhouse-client and clickhouse:// need a server.
//
//	Fetch   finds libchdb: one given, the cache, or npm ci into the cache
//	Start   runs and restarts a child process that calls
//	Serve   the engine and its endpoint in this process, until told to stop
//
// The engine may take its process with it, so only Serve touches it and whoever
// needs an answer uses Start. What was acknowledged survives a killed child.
//
// By default the endpoint wants no password, so that curl works as with a fresh
// server:
//
//	curl http://127.0.0.1:8123/ -d 'SELECT 1'
//
// It listens on the loopback interface and refuses what a web page can send. A file
// named password in the data directory (mode 0600) sets one; then
// curl --user "default:$(cat DATA/password)". Addresses other than loopback ones
// need a password.
package clickhouse
