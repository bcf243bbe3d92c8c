// Package engine is ClickHouse inside this process: libchdb, loaded without cgo.
//
//	Load ─▶ Library ─▶ Open(data directory) ─▶ Engine ─▶ Connect ─▶ Conn ─▶ Stream or Query
//
// A process has one Library and one Engine, because the library keeps both in global state. A Conn runs
// one statement at a time; several Conns can run concurrently. After a statement was aborted its Conn must
// be closed and not used again: the library would begin the next result with the rest of the aborted one.
//
// The engine runs threads of its own. A fatal signal in one of them ends the process
// silently, so the library should be loaded in a child process that is supervised.
package engine
