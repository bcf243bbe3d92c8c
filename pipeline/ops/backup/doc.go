// Package backup copies everything that the pipeline stores into a directory while the pipeline runs, and restores
// a pipeline from such a copy, which pays for nothing twice.
//
//	DIR/set.json          what the set holds; written last, so a directory without it is not a set
//	DIR/nats/STREAM/      a stream or bucket with its consumers, as `nats backup restore account DIR/nats` takes it
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
//	VERDICTS, DEALS, …, CANDIDATES  a verdict's deal, survivor and candidate are there
//	TOKENS, then LEDGER             a closed claim has its line
//	RESPONSES                       every answer that the ledger or a verdict names is in the set: nothing is paid again
//	CONFIG, POSTED                  a verdict's rules are in the set; no notification is sent twice
//
// The reverse is not guaranteed: a survivor may be in the set without its verdict, as after a crash before the
// verdict. Then the same follows: the survivor was not settled, so it is redelivered and decided from the stored
// answer.
//
// A snapshot reads a stream's consumers after its messages, so their positions may cover work whose results are
// stored on the same stream after the snapshot's end. So positions are read before everything else, and a restore
// resets to them.
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
