package schemas

import "embed"

// Messages are the JSON Schemas of what travels on the streams and in the
// buckets, message/WORD.vN.json, each with an example in message/testdata.
//
//go:embed message
var Messages embed.FS
