package engine

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lastSignal is the highest signal number of Linux.
const lastSignal = 64

// kernelAction has the size of the kernel's struct sigaction, whose
// layout is not interpreted: handler, flags, restorer and an 8 byte mask.
type kernelAction [64]byte

// keepSignals runs f and restores every signal handler that f may have changed.
func keepSignals(f func()) error {
	var saved [lastSignal + 1]kernelAction
	var known [lastSignal + 1]bool
	for sig := 1; sig <= lastSignal; sig++ {
		known[sig] = sigaction(sig, nil, &saved[sig]) == nil
	}
	f()
	var errs []error
	for sig := 1; sig <= lastSignal; sig++ {
		if !known[sig] || sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP) {
			continue
		}
		if err := sigaction(sig, &saved[sig], nil); err != nil {
			errs = append(errs, fmt.Errorf("restore the handler of signal %d: %w", sig, err))
		}
	}
	return errors.Join(errs...)
}

func sigaction(sig int, set, old *kernelAction) error {
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), maskSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
