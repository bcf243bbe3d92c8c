package shim

import (
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/engine"
	"ratchet/pipeline/embedded/clickhouse/native"
)

// What another ClickHouse server sends that reads a table of ours by remote(), and clients do not.

// tablesStatus says which of the tables are there that another server means to read.
func (p *peer) tablesStatus() error {
	asked, err := native.ReadTablesStatus(p.in)
	if err != nil {
		return err
	}
	var there []native.Table
	q := p.request()
	q.inner = true
	err = p.door.s.do(p.door.ctx, q, nothing, func(c *engine.Conn, _ *work) (bool, error) {
		for _, t := range asked {
			called := name(t.Name)
			if t.Database != "" {
				called = name(t.Database) + "." + called
			}
			b, _, err := c.Query("EXISTS TABLE "+called, "TabSeparated", nil)
			if err != nil {
				return true, err
			}
			if string(b) == "1\n" {
				there = append(there, t)
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	native.TablesStatus(&p.small, there)
	return p.send()
}

// nothing is the work of a request that is asked by ourselves.
func nothing() (*work, error) { return &work{}, nil }

// scalarPacket is the number of the packet with a scalar.
const scalarPacket = proto.ClientCode(7)

// scalar reads a value that the other server worked out before it sent its query, which asks for it by __getScalar. The
// engine takes no such values from outside, so it becomes a table and the query asks that.
func (p *peer) scalar(job *work, sent *native.Query, called string) error {
	asks, as := "__getScalar("+quote(called)+")", "__scalar_"+called
	if !strings.Contains(sent.Text, asks) { // which of its shards we are, at the least
		_, err := native.Recode(io.Discard, p.blocksIn(sent.Compress), p.revision, 0)
		return err
	}
	file, _, columns, err := p.keepBlock(job, sent.Compress)
	if err != nil {
		return err
	}
	job.tables = append(job.tables, table{name: as, structure: structureOf(columns), format: "Native", file: file})
	sent.Text = strings.ReplaceAll(sent.Text, asks, "(SELECT * FROM "+name(as)+")")
	return nil
}
