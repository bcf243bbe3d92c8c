package native

import (
	"bufio"

	"github.com/ClickHouse/ch-go/proto"
)

// A Table is a table that another server means to read: it asks whether it is there before it sends its query.
type Table struct{ Database, Name string }

// ReadTablesStatus reads what follows the packet's number.
func ReadTablesStatus(in *bufio.Reader) ([]Table, error) {
	w := wire{in: in}
	count := w.uvarint()
	if w.err == nil && count > mostItems {
		w.err = bad("the state of %d tables", count)
	}
	var tables []Table
	for i := uint64(0); i < count && w.err == nil; i++ {
		tables = append(tables, Table{Database: w.text(mostWords), Name: w.text(mostWords)})
	}
	return tables, w.err
}

// TablesStatus answers with those tables that are there. None of them is a replica, so none lags behind.
func TablesStatus(b *proto.Buffer, there []Table) {
	proto.ServerCodeTablesStatus.Encode(b)
	b.PutInt(len(there))
	for _, t := range there {
		b.PutString(t.Database)
		b.PutString(t.Name)
		b.PutBool(false)
	}
}
