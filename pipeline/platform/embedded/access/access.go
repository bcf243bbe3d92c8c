// Package access decides which clients are admitted if no password is set: on the loopback interface
// the user that runs this process, and root; no other user, and no page in a browser.
//
//	connection ─▶ Owner: the owner of the other end, by the kernel's table ─▶ Same: admitted, or rejected with a sentence
//	request    ─▶ package origin: Host, Origin, Sec-Fetch-Site          ─▶ rejected if a page sent it
//
// A client that is not in the table, because it comes from another network namespace, counts as another
// user. If the kernel does not name owners (Tells), a password is needed, which Password generates.
package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
)

// ErrUnknown means that the kernel does not name the connection's owner.
var ErrUnknown = errors.New("the kernel does not name the owner of this connection")

// OtherUserError rejects a connection of another user.
type OtherUserError struct {
	UID int   // the owner
	Err error // why the owner is unknown; nil if it is known
}

// Error names the rejected user and the admitted one.
func (e *OtherUserError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("refused: %v, so it counts as another user's; without a password only user %d, which runs Ratchet, is admitted", e.Err, os.Geteuid())
	}
	return fmt.Sprintf("refused: this is user %d, and without a password only user %d, which runs Ratchet, is admitted", e.UID, os.Geteuid())
}

// Unwrap returns why the owner is unknown.
func (e *OtherUserError) Unwrap() error { return e.Err }

// Same returns nil if the other end of a TCP connection belongs to the user that
// runs this process, or to root. local and remote are the addresses of our end.
func Same(local, remote net.Addr) error {
	uid, err := owner(local, remote)
	switch {
	case err != nil:
		return &OtherUserError{UID: -1, Err: err}
	case uid == 0 || uid == os.Geteuid():
		return nil
	default:
		return &OtherUserError{UID: uid}
	}
}

// owner returns the user that owns the other end.
func owner(local, remote net.Addr) (int, error) {
	here, there := addrPort(local), addrPort(remote)
	if !here.IsValid() || !there.IsValid() || !there.Addr().IsLoopback() {
		return 0, ErrUnknown
	}
	one, err := lookUp(there, here)
	if err == nil && one.uid == 0 {
		// The kernel reports root, and no inode, for the end of a closed connection. The
		// connection may have been closed between the two queries; then it has no inode now.
		one, err = lookUp(there, here)
	}
	switch {
	case err != nil:
		return 0, err
	case !one.held:
		return 0, fmt.Errorf("%w: it is closed", ErrUnknown)
	}
	return one.uid, nil
}

// A holder is the kernel's information about one end of a connection.
type holder struct {
	uid  int
	held bool // a process has it open
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// NamesOwners reports whether this system names the owners of
// connections. It tests this once, with a connection of its own.
var NamesOwners = sync.OnceValue(func() bool {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false
	}
	defer func() { _ = l.Close() }() // nothing was sent
	ours, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		return false
	}
	defer func() { _ = ours.Close() }() // the same
	uid, err := owner(ours.RemoteAddr(), ours.LocalAddr())
	return err == nil && uid == os.Geteuid()
})
