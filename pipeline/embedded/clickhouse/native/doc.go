// Package native is the server's side of ClickHouse's native protocol, without a server: it reads what clients send,
// writes what they expect, and carries blocks from one protocol revision to another. What ch-go can write it writes;
// what comes from a client is read here, because a length that a stranger sends must not become an allocation.
//
//	wire.go      numbers and texts, each with a limit
//	hello.go     who the client is, and who we are
//	query.go     a statement with its settings and parameters
//	status.go    which tables are there, for a server that reads one of them
//	defaults.go  what an INSERT may leave out
//	kind.go      a column's type, as far as its bytes go
//	recode.go    blocks, copied byte by byte between two revisions
//	answer.go    exception, progress and the other small packets
package native

import "github.com/ClickHouse/ch-go/proto"

// Revision is the protocol revision that we announce, and both sides speak the smaller one. It is the first with
// parameters in queries; what later ones bring (chunks, password rules, other progress) nobody here needs.
const Revision = int(proto.FeatureParameters)

// oldest is the first revision that is understood. What is older lacks fields that are read here without asking.
const oldest = int(proto.FeatureVersionPatch)
