// Package shim is the face of the embedded ClickHouse: what curl, Grafana and
// clickhouse-go over HTTP ask of a server on port 8123, and what clickhouse-client and
// clickhouse:// ask on port 9000, answered by the engine.
//
//	request ─▶ Host and Origin, user ─▶ body read ─▶ engine session: USE, SET
//	        ─▶ INSERT with data: body to a file, INSERT … FROM INFILE
//	        └▶ anything else: streamed; what cannot be streamed is run whole
//
//	Door ─▶ peer: hello ─▶ packet ─▶ statement, blocks of an INSERT to a file
//	     ─▶ as above ─▶ blocks, recoded by package native
//
// What differs from a server, and why:
//   - Inserted data never travels in the statement's text: the engine would end it at
//     the first empty line and run what follows as SQL.
//   - Every request has an engine session of its own (unless it names one), so
//     settings and temporary tables end with it, as on a server.
//   - clickhouse-go is told that the server speaks protocol revision 0, because that
//     is how the engine writes its Native blocks.
//   - An INSERT is durable when it is answered; async_insert has no effect.
//   - The engine gives every piece of an answer the head and the foot of a whole one,
//     so only formats that have neither are streamed over HTTP.
//   - Natively a statement has an engine session of its own too; what a USE or
//     a SET said is kept for the connection.
//   - Totals and extremes are missing in the engine's Native answers: such a statement
//     is run as text and read back.
//   - Another server may read and write by remote(), but is given whole answers only,
//     no states to merge.
//   - There is one user, no TLS, no query_log.
package shim
