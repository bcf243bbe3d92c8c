// Package httpd is the HTTP interface of the embedded ClickHouse: what curl, Grafana,
// JDBC and clickhouse-go request from a server on port 8123, answered by the engine.
//
//	request ─▶ page? same user? ─▶ body read ─▶ statement checked ─▶ engine session: USE, SET
//	        ─▶ INSERT with data: body to a file, INSERT … FROM INFILE
//	        └▶ anything else: streamed; what cannot be streamed is run as a whole
//
// The differences from a server, and why:
//   - Inserted data never becomes part of the statement's text: the engine would end it at
//     the first empty line and run what follows as SQL.
//   - Every request has an engine session of its own (unless it names one), so
//     settings and temporary tables end with it, as on a server.
//   - The protocol revision in the hello to clickhouse-go is 0, because that is how the
//     engine writes its Native blocks.
//   - An INSERT is durable when it is answered; async_insert has no effect.
//   - The engine gives every piece of an answer the header and footer of a complete one,
//     so only formats that have neither are streamed.
//   - Totals and extremes are missing in the engine's Native answers.
//   - A GET needs a header of ClickHouse's or a password, and SQL that reaches out of the database is rejected.
//   - VALUES of more than a mebibyte are literals, not expressions.
//   - There is one user, no TLS, no query_log, and only HTTP is served.
package httpd
