package native

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// Described is a column of a table, as DESCRIBE tells it: with the expression for a value that is left out.
type Described struct {
	Column
	Kind    string `json:"default_type"` // DEFAULT, MATERIALIZED, …; empty: the type's own default
	Default string `json:"default_expression"`
}

var (
	inField = strings.NewReplacer("\\", `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "\x00", `\0`, "\b", `\b`, "\f", `\f`)
	inName  = strings.NewReplacer("\\", `\\`, "`", "\\`", "\n", `\n`, "\t", `\t`)
)

// TableColumns describes the table of an INSERT, in the lines in which ClickHouse keeps such things.
func TableColumns(b *proto.Buffer, columns []Described) {
	var lines strings.Builder
	fmt.Fprintf(&lines, "columns format version: 1\n%d columns:\n", len(columns))
	for _, c := range columns {
		fmt.Fprintf(&lines, "`%s` %s", inName.Replace(c.Name), inField.Replace(c.Type))
		if c.Kind != "" {
			fmt.Fprintf(&lines, "\t%s\t%s", c.Kind, inField.Replace(c.Default))
		}
		lines.WriteByte('\n')
	}
	proto.ServerCodeTableColumns.Encode(b)
	b.PutString("") // no external table's name
	b.PutString(lines.String())
}
