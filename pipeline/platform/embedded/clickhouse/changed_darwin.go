package clickhouse

import "syscall"

// changed returns the instant of a file's last change of content or attributes, Unix nanoseconds.
func changed(st *syscall.Stat_t) int64 { return st.Ctimespec.Nano() }
