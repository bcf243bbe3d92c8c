package process

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Address splits host:port, the value of a flag, which a UsageError names. Without a host
// it is 127.0.0.1: ":4222" must not open the port to the network. Port 0 is any free port.
func Address(flag, addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, Usagef("%s: want host:port, got %q", flag, addr)
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, Usagef("%s: want a port from 0 to 65535, got %q", flag, p)
	}
	host = cmp.Or(host, "127.0.0.1")
	return host, port, nil
}

// Listen listens on the address in a flag.
func Listen(flag, addr string) (net.Listener, error) {
	host, port, err := Address(flag, addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &TakenError{Flag: flag, Host: host, Port: port}
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w; choose another address with %s", addr, err, flag)
	}
	return l, nil
}

// TakenError means that another process listens on an address.
type TakenError struct {
	Flag, Host string
	Port       int
}

// Error names the port and what to do.
func (e *TakenError) Error() string {
	return fmt.Sprintf("port %d on %s is taken; stop what uses it or choose another with %s", e.Port, e.Host, e.Flag)
}
