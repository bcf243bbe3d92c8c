//go:build !linux

package access

import (
	"fmt"
	"net/netip"
	"runtime"
)

// lookUp knows nothing here.
func lookUp(_, _ netip.AddrPort) (holder, error) {
	return holder{}, fmt.Errorf("%w on %s", ErrUnknown, runtime.GOOS)
}
