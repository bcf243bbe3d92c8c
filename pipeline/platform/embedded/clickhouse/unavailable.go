package clickhouse

// UnavailableError means that the embedded engine cannot be used here, and names the alternatives.
type UnavailableError struct {
	Reason string // what is missing, as a sentence without its full stop
	Err    error  // the cause; nil if the reason is complete
}

// Error returns the reason and the three alternatives.
func (e *UnavailableError) Error() string {
	text := "the embedded ClickHouse is not available: " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + `; three ways out:
  CHDB_LIB_PATH=/path/to/libchdb.so         use a library from elsewhere
  ratchet up --clickhouse http://user@host:8123/db use a server, with its CLICKHOUSE_PASSWORD
  ratchet up --clickhouse none              run everything else; a recorder started later catches up`
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }
