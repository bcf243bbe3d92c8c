package warehouse

import (
	"errors"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"ratchet/pipeline"
)

// The ClickHouse error codes that the pipeline handles.
const (
	codeNone            = 0
	codeUnknownUser     = 192
	codeUnknownDatabase = 81
	codeAuthentication  = 516
	codeReadOnly        = 164
	codeMemory          = 241
)

// Class is how to handle an error.
type Class int

// The classes.
const (
	Again    Class = iota // retry the same batch with the same token: it may have been stored
	BadData               // a row of the batch cannot be stored: halve the batch until the row is alone
	NoSchema              // a table or column is missing: migrate, then retry
	TooMuch               // too large for ClickHouse's memory: insert the halves; retry a single row
)

var (
	schemaCodes = []int32{60, codeUnknownDatabase, 16, 47, 8, 10}
	dataCodes   = []int32{6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349}
)

// Classify returns how to handle an insert's error. An error that is not
// known to be the data's fault is retried: a batch that waits loses nothing.
func Classify(err error) Class {
	var convert *chcolumn.ColumnConverterError
	var value *chcolumn.Error
	var row *pipeline.Unrecordable
	switch {
	case errors.As(err, &convert), errors.As(err, &value), errors.As(err, &row):
		return BadData
	case slices.Contains(schemaCodes, code(err)):
		return NoSchema
	case slices.Contains(dataCodes, code(err)):
		return BadData
	case code(err) == codeMemory:
		return TooMuch
	}
	return Again
}

// code returns ClickHouse's error code, or codeNone if it did not answer.
func code(err error) int32 {
	if e, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return e.Code
	}
	return codeNone
}
