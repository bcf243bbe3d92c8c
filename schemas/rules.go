package schemas

import "embed"

// Rules are the decision rules by file name, under rules/.
//
//go:embed rules
var Rules embed.FS

// UsedBooks is the default rule set.
//
//go:embed rules/used-books.yaml
var UsedBooks []byte
