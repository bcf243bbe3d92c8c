//go:build !noowners

package access

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The request and the answer of the kernel's socket diagnosis for one connection
// (linux/inet_diag.h). It finds a connection in microseconds, while /proc/net/tcp lists all of them.
type (
	diagID struct {
		sourcePort, destPort [2]byte // big endian
		source, dest         [16]byte
		device               uint32
		cookie               [2]uint32
	}
	diagRequest struct {
		header             unix.NlMsghdr
		family, protocol   uint8
		extensions, unused uint8
		states             uint32
		id                 diagID
	}
	diagAnswer struct {
		family, state, timer, retransmits uint8
		id                                diagID
		expires, received, sent           uint32
		uid, inode                        uint32
	}
)

const sockDiagByFamily = 20

// The states of an end that a process may still hold: established, or half closed by it.
const living = 1<<1 | 1<<4 | 1<<5

// lookUp queries the kernel for the end of a connection at local, whose other end is at remote.
func lookUp(local, remote netip.AddrPort) (holder, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return holder{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	defer func() { _ = unix.Close(fd) }() // the socket was used for one query
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	q := question(local, remote)
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&q)), unsafe.Sizeof(q))
	if err := unix.Sendto(fd, raw, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return holder{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	reply := make([]byte, 4096)
	n, from, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return holder{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if kernel, ok := from.(*unix.SockaddrNetlink); !ok || kernel.Pid != 0 {
		return holder{}, fmt.Errorf("%w: another process answers", ErrUnknown)
	}
	return answer(reply[:n], q.id)
}

func question(local, remote netip.AddrPort) diagRequest {
	q := diagRequest{family: unix.AF_INET, protocol: unix.IPPROTO_TCP, states: living}
	q.header = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(q)), Type: sockDiagByFamily, Flags: unix.NLM_F_REQUEST}
	if local.Addr().Is6() {
		q.family = unix.AF_INET6
	}
	copy(q.id.source[:], local.Addr().AsSlice())
	copy(q.id.dest[:], remote.Addr().AsSlice())
	binary.BigEndian.PutUint16(q.id.sourcePort[:], local.Port())
	binary.BigEndian.PutUint16(q.id.destPort[:], remote.Port())
	q.id.cookie = [2]uint32{^uint32(0), ^uint32(0)} // any
	return q
}

// answer decodes the kernel's answer, which must be about the
// requested connection and not about a listener at its port.
func answer(reply []byte, asked diagID) (holder, error) {
	const head = unix.SizeofNlMsghdr
	if len(reply) < head+4 {
		return holder{}, fmt.Errorf("%w: a short answer", ErrUnknown)
	}
	if binary.NativeEndian.Uint16(reply[4:]) == unix.NLMSG_ERROR {
		code := unix.Errno(-int32(binary.NativeEndian.Uint32(reply[head:])))
		if errors.Is(code, unix.ENOENT) {
			return holder{}, fmt.Errorf("%w: it is not in this network namespace, or closed", ErrUnknown)
		}
		return holder{}, fmt.Errorf("%w: %w", ErrUnknown, code)
	}
	if len(reply) < head+int(unsafe.Sizeof(diagAnswer{})) {
		return holder{}, fmt.Errorf("%w: a short answer", ErrUnknown)
	}
	var a diagAnswer
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&a)), unsafe.Sizeof(a)), reply[head:])
	if a.id.sourcePort != asked.sourcePort || a.id.destPort != asked.destPort || living&(1<<a.state) == 0 {
		return holder{}, fmt.Errorf("%w: it is closed", ErrUnknown)
	}
	return holder{uid: int(a.uid), held: a.inode != 0}, nil
}
