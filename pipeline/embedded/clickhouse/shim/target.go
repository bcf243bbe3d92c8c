package shim

import (
	"errors"
	"slices"
	"strings"

	"ratchet/pipeline/embedded/clickhouse/engine"
	"ratchet/pipeline/embedded/clickhouse/native"
)

// A target is where an INSERT goes.
type target struct {
	table    string // or a function with its arguments
	columns  string // the list; * for all
	function bool
}

// targetOf understands an INSERT's head: INSERT INTO table (columns).
func targetOf(text string) target {
	l := lexer{text: text}
	function, from, depth := false, len(text), 0
	var lists [][2]int // what stands in parentheses, outermost
	for t := l.next(); t.kind != end; t = l.next() {
		switch word := strings.ToUpper(text[t.start:t.end]); {
		case t.kind == open:
			if depth == 0 {
				lists = append(lists, [2]int{t.start, len(text)})
			}
			depth++
		case t.kind == shut:
			if depth--; depth == 0 && len(lists) > 0 {
				lists[len(lists)-1][1] = t.end
			}
		case from < len(text):
		case word == "INSERT", word == "INTO", word == "TABLE":
		case word == "FUNCTION":
			function = true
		default:
			from = t.start
		}
	}
	own := 0 // the parentheses that belong to the table
	if function {
		own = 1
	}
	if len(lists) <= own {
		return target{table: text[from:], columns: "*", function: function}
	}
	list := lists[own]
	return target{table: text[from:max(from, list[0])], columns: text[list[0]+1 : max(list[0]+1, list[1]-1)], function: function}
}

// columns are what the INSERT takes, and all columns of its table if some of them have defaults.
func (p *peer) columns(q *request, to target) (takes []native.Column, all []native.Described, err error) {
	ask := p.request()
	ask.settings, ask.params, ask.inner = q.settings, q.params, true
	err = p.door.s.do(p.door.ctx, ask, nothing, func(c *engine.Conn, _ *work) (bool, error) {
		if takes, err = describe[native.Column](c, "(SELECT "+to.columns+" FROM "+to.table+"\n)", q.params); err != nil || to.function {
			return err != nil, err
		}
		all, err = describe[native.Described](c, "TABLE "+to.table, q.params)
		return err != nil, err
	})
	for _, d := range all {
		if (d.Kind == "MATERIALIZED" || d.Kind == "ALIAS") && slices.ContainsFunc(takes, func(c native.Column) bool { return c.Name == d.Name }) {
			return nil, nil, refuse(illegalColumn, "Cannot insert column %s, because it is %s column", d.Name, d.Kind)
		}
	}
	if !slices.ContainsFunc(all, func(d native.Described) bool { return d.Kind != "" }) {
		all = nil
	}
	return takes, all, err
}

// invite tells the client which columns to send, and the defaults of those that its data may leave out: a client that reads
// JSON or CSV works them out itself.
func (p *peer) invite(q *request, takes []native.Column, all []native.Described) error {
	if len(all) > 0 {
		native.TableColumns(&p.small, all)
		if err := p.send(); err != nil {
			return err
		}
	}
	return errors.Join(p.heading(q, takes), p.out.Flush())
}
