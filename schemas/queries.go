package schemas

import "embed"

// Queries are the deal queries by file name, under queries-keepa/.
//
//go:embed queries-keepa
var Queries embed.FS

// UsedBooksQuery is the default deal query.
//
//go:embed queries-keepa/used-books.json
var UsedBooksQuery []byte
