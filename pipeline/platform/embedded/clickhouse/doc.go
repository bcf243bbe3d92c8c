// Package clickhouse runs ClickHouse without an installed server: the real engine
// in a child process of our own, behind an HTTP endpoint on the loopback interface
// that clickhouse-go, curl, JDBC and Grafana use like a server's. It does not speak
// the native protocol: clickhouse-client and clickhouse:// need a server.
//
//	Fetch   finds libchdb: one given, the cache, or npm ci into the cache
//	Start   runs and restarts a child process that calls
//	Serve   the engine and its endpoint in this process, until a stop
//
// The engine may crash its process, so only Serve loads it, and a program that
// needs answers calls Start. What was acknowledged survives a killed child.
//
// The endpoint listens on the loopback interface and admits the user that
// runs it (package access), so that curl works as with a fresh server:
//
//	curl http://127.0.0.1:8123/ -d 'SELECT 1'
//
// A file named password in the data directory (mode 0600) admits other users; then
// every client must send it: curl --user "default:$(cat DATA/password)". The process
// restricts itself (package cage), and SQL from outside is checked (package sqlcheck).
package clickhouse
