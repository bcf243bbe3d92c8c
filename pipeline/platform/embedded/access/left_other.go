//go:build !linux

package access

import "net"

// left knows nothing here: a client that sent more than its request is noticed when something is written.
func left(net.Conn) bool { return false }
