// Package shim is the HTTP face of the embedded ClickHouse: what clickhouse-go over
// HTTP, curl and Grafana ask of a server on port 8123, answered by the engine.
//
//	request ─▶ Host and Origin, user ─▶ body read ─▶ engine session: USE, SET
//	        ─▶ INSERT with data: body to a file, INSERT … FROM INFILE
//	        └▶ anything else: streamed; what cannot be streamed is run whole
//
// What differs from a server, and why:
//   - Inserted data never travels in the statement's text: the engine would end it at
//     the first empty line and run what follows as SQL.
//   - Every request has an engine session of its own (unless it names one), so
//     settings and temporary tables end with it, as on a server.
//   - clickhouse-go is told that the server speaks protocol revision 0, because that
//     is how the engine writes its Native blocks.
//   - An INSERT is durable when it is answered; async_insert has no effect.
//   - There is one user, no TLS, no native protocol, no query_log.
package shim
