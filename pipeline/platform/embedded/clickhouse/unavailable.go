package clickhouse

// UnavailableError means that the embedded engine cannot be had here, and names the
// ways out.
type UnavailableError struct {
	Reason string // what is missing, as a sentence without its stop
	Err    error  // the cause; nil if the reason says it all
}

// Error names the reason and the three ways out.
func (e *UnavailableError) Error() string {
	text := "the embedded ClickHouse is not available: " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + `; three ways out:
  CHDB_LIB_PATH=/path/to/libchdb.so         use a library got another way
  ratchet up --clickhouse http://user@host:8123/db use a server, with its CLICKHOUSE_PASSWORD
  ratchet up --clickhouse none              run everything else; a recorder started later catches up`
}

// Unwrap is the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }
