package warehouse

import (
	"errors"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"ratchet/pipeline"
)

// ClickHouse's codes that mean something to us.
const (
	codeNone            = 0
	codeUnknownUser     = 192
	codeUnknownDatabase = 81
	codeAuthentication  = 516
	codeReadOnly        = 164
	codeMemory          = 241
)

// Class is what an error asks for.
type Class int

// The classes.
const (
	Again    Class = iota // the same batch with the same token, later: nothing says that it did not land
	BadData               // a row of the batch cannot be stored: halve it until the row is alone
	NoSchema              // a table or column is missing: migrate, then again
	TooMuch               // more at once than ClickHouse has memory for: the halves; of a single row, again
)

var (
	schemaCodes = []int32{60, codeUnknownDatabase, 16, 47, 8, 10}
	dataCodes   = []int32{6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349}
)

// Classify says what to do about an insert's error. What is not known to be the data's fault is tried again: a batch
// that waits loses nothing.
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

// code is ClickHouse's own code, or codeNone where it did not answer.
func code(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return codeNone
}
