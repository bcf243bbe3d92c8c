package httpd

import (
	"encoding/json"
	"fmt"
	"slices"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// changed returns the settings of an engine session that are not at their defaults.
func changed(c *engine.Conn) (map[string]string, error) {
	b, _, err := c.Query("SELECT CAST((groupArray(name), groupArray(value)), 'Map(String, String)') AS m FROM system.settings WHERE changed", "JSONEachRow", nil)
	if err != nil {
		return nil, fmt.Errorf("read the engine's settings: %w", err)
	}
	var row struct{ M map[string]string }
	if err := json.Unmarshal(b, &row); err != nil {
		return nil, fmt.Errorf("read the engine's settings: %w", err)
	}
	return row.M, nil
}

// borrow is for a named session, which outlives the request: the settings of the request do not,
// except for those that a SET among its statements made. The returned function restores them.
func (s *Server) borrow(c *engine.Conn, q *request) (restore func(aborted bool, verb string), err error) {
	if q.session == "" || len(q.settings) == 0 {
		return func(bool, string) {}, nil
	}
	// After readonly nothing could be restored; the statement's first word decides, as for a GET.
	if q.readsOnly() {
		q.readonly = true
		q.settings = slices.DeleteFunc(q.settings, func(s setting) bool { return s.name == "readonly" })
	}
	before, err := changed(c)
	if err != nil {
		return nil, err
	}
	return func(aborted bool, verb string) {
		if verb == "SET" || aborted && !drained(c) {
			return
		}
		for _, one := range q.settings {
			if slices.Contains(ours, one.name) {
				continue
			}
			to := "DEFAULT"
			if value, ok := before[one.name]; ok {
				to = quote(value)
			}
			if err := c.Exec("SET " + name(one.name) + " = " + to); err != nil {
				s.o.Log.Debug("setting of a session not put back", "setting", one.name, "err", err)
			}
		}
	}, nil
}

// ours are settings that every request sets.
var ours = []string{"implicit_select", "async_insert", "log_comment", marker}
