package shim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ratchet/pipeline/embedded/clickhouse/engine"
)

// askSettings asks the engine for its settings.
func (s *Server) askSettings() error {
	c, err := s.o.Engine.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	names, _, err := c.Query("SELECT name FROM system.settings", "TabSeparatedRaw", nil)
	if err != nil {
		return fmt.Errorf("ask the engine's settings: %w", err)
	}
	s.known = map[string]bool{}
	for name := range strings.Lines(string(names)) {
		s.known[strings.TrimSuffix(name, "\n")] = true
	}
	s.initial, err = changed(c)
	return err
}

// changed are the settings of an engine session that are not at their defaults.
func changed(c *engine.Conn) (map[string]string, error) {
	b, _, err := c.Query("SELECT CAST((groupArray(name), groupArray(value)), 'Map(String, String)') AS m FROM system.settings WHERE changed", "JSONEachRow", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the engine's settings: %w", err)
	}
	var said struct{ M map[string]string }
	if err := json.Unmarshal(b, &said); err != nil {
		return nil, fmt.Errorf("ask the engine's settings: %w", err)
	}
	return said.M, nil
}

// borrow is for a named session, which outlives the request: the settings of the request do not, except for those that a
// SET among its statements made. The returned function puts them back.
func (s *Server) borrow(c *engine.Conn, q *request) (restore func(spoilt bool, verb string), err error) {
	if q.session == "" || len(q.settings) == 0 {
		return func(bool, string) {}, nil
	}
	// After readonly nothing could be put back; the statement's first word decides, as for a GET.
	if q.readsOnly() {
		q.readonly = true
		q.settings = slices.DeleteFunc(q.settings, func(s setting) bool { return s.name == "readonly" })
	}
	before, err := changed(c)
	if err != nil {
		return nil, err
	}
	return func(spoilt bool, verb string) {
		if verb == "SET" || spoilt && !mended(c) {
			return
		}
		for _, one := range q.settings {
			if slices.Contains(ours, one.name) || !s.known[one.name] {
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

// ours are settings that every request makes anew.
var ours = []string{"implicit_select", "async_insert", "log_comment", marker}

// keep remembers what a SET made of the settings: it holds for the connection. What came with its request does not.
func (p *peer) keep(c *engine.Conn, q *request) error {
	now, err := changed(c)
	if err != nil {
		return err
	}
	var kept []setting
	for name, value := range now {
		with := slices.ContainsFunc(q.settings[len(p.kept):], func(s setting) bool { return s.name == name })
		if before, ok := p.door.s.initial[name]; slices.Contains(ours, name) || ok && before == value || with {
			continue
		}
		kept = append(kept, setting{name: name, value: value})
	}
	slices.SortFunc(kept, func(a, b setting) int { return strings.Compare(a.name, b.name) })
	p.kept = kept
	return nil
}
