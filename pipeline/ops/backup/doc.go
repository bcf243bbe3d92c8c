// Package backup copies everything that the pipeline keeps into a directory while the pipeline runs, and makes a
// pipeline of such a copy that pays for nothing again.
//
//	DIR/set.json          what the set holds; written last, so a directory without it is not a set
//	DIR/nats/STREAM/      a stream or bucket with its consumers, as `nats account restore DIR/nats` takes it
//	DIR/clickhouse/       TABLE.PARTITION.native.zst, as clickhouse-client takes it
//
// # Why the parts fit each other
//
// The parts are copied one after the other while the pipeline writes. They fit because they are copied in the
// opposite order of writing: what is written last in a step is copied first. So whatever is in the set, everything
// that was written before it is in the set too, and the set is a state that a crash could have left:
//
//	positions of the consumers      a message that counts as settled has its effects in the set
//	ClickHouse                      a row's message is in its stream, so no later message gets that row's number
//	WATERMARKS, STOCK, SEEN, …      what counts as listed, offered or decided was published
//	DEALS, VERDICTS, …, CANDIDATES  a verdict's survivor and candidate are there
//	TOKENS, then LEDGER             a closed claim has its line
//	RESPONSES                       every answer that the ledger or a verdict names is in the set: nothing is paid again
//	CONFIG, POSTED                  a verdict's rules are in the set; no notification is sent twice
//
// The other way round nothing is promised: a survivor may be there whose verdict is not. That is what a crash before
// the verdict leaves, and what follows is the same: its message was not settled, is delivered again, and is decided
// from the stored answer.
//
// The server reads a stream's consumers after the end of its messages, so their positions in the snapshot may be
// those of work whose results lie behind that end, on the same stream. Hence positions are read before everything
// else, and a restore goes back to them.
//
// # What a restored pipeline does first
//
//	tokend        no leader is left (TOKEND is not in the set): it takes over with the next epoch and asks
//	              /token. The balance is Keepa's, and what the old pipeline spent since is drift
//	open claims   their workers are gone: given up after their time, as after a crash
//	consumers     deliver what was not settled; the stored answers decide it for no token
//	watermarker   reads the list from the mark of the set on
//	recorder      inserts again what it had inserted since its position, under the same numbers: the same rows
//
// TOKEND, STATUS and ORDERS describe what runs now; they are not in the set. Neither is the simulated Keepa, which is
// the outside world.
package backup
