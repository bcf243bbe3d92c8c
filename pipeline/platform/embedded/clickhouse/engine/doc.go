// Package engine is ClickHouse inside this process: libchdb, loaded without cgo.
//
//	Load ─▶ Library ─▶ Open(data directory) ─▶ Engine ─▶ Connect ─▶ Conn ─▶ Stream or Query
//
// A process has one Library and one Engine, because the library keeps both in
// global state. A Conn runs one statement at a time; Conns run side by side. After
// a statement broke off halfway its Conn must be closed and not used again: the
// library would begin the next answer with what was left of the broken one.
//
// The engine runs threads of its own. A fatal signal in one of them ends the
// process without a word, so whoever loads the library should be a child process
// that somebody restarts.
package engine
