package cage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// What every process with the engine needs, in addition to its data and its library.
var (
	// readable are the files of the loader and the C library, and what the engine reads about the machine and itself.
	readable = []string{
		"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/usr/share/locale",
		"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts", "/etc/resolv.conf",
		"/dev/urandom", "/dev/random",
		"/proc/self", "/proc/sys/vm/overcommit_memory",
		"/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage",
	}
	// writable is for discarded output.
	writable = []string{os.DevNull}
	// loaders start a dynamically linked program, such as this one.
	loaders = []string{"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"}
)

// version returns the version of the kernel's Landlock; 0 without it.
func version() int {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return abi
}

// Enter restricts the process and executes its program again, with the same arguments. It returns nil in the
// restricted program and if the kernel lacks Landlock, and an error if the process could not be restricted.
func Enter(w Walls) error {
	if Inside() {
		return verify()
	}
	if slices.Contains(Missing(), layers[0].Name) {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	env, err := w.keep()
	if err != nil {
		return err
	}
	// Never unlocked: the thread is restricted from here on, and no other goroutine may run on it.
	runtime.LockOSThread()
	if err := restrict(w, exe); err != nil {
		return fmt.Errorf("restrict this process: %w", err)
	}
	if w.WithParent {
		// The parent-death signal was set for the first thread, which this one replaces.
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
			return fmt.Errorf("end with the parent: %w", err)
		}
	}
	return fmt.Errorf("execute %s again: %w", exe, syscall.Exec(exe, os.Args, append(env, inside+"=1")))
}

// keep leaves the files open for the next program and returns the environment that names them. It does
// not use Fd, which would set a listening socket to blocking, so that an accept could not be interrupted.
func (w Walls) keep() ([]string, error) {
	env := slices.Clone(w.Env)
	for name, f := range w.Keep {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, fmt.Errorf("keep %s open: %w", f.Name(), err)
		}
		var failed error
		err = raw.Control(func(fd uintptr) {
			_, failed = unix.FcntlInt(fd, unix.F_SETFD, 0)
			env = append(env, fmt.Sprintf("%s=%d", name, fd))
		})
		if err := errors.Join(err, failed); err != nil {
			return nil, fmt.Errorf("keep %s open: %w", f.Name(), err)
		}
	}
	return env, nil
}

// handled are the accesses that are denied unless a rule allows them, as far as the kernel knows them. No rule allows
// a connection, a datagram or a signal.
var handled = landlock.V11

// own are the accesses to the process's own directory. A unix socket in it would be another process's.
var own = handled.HandledAccessFS &^ (ll.AccessFSExecute | ll.AccessFSMakeChar | ll.AccessFSMakeBlock | ll.AccessFSIoctlDev | ll.AccessFSResolveUnix)

// restrict restricts this thread.
func restrict(w Walls, exe string) error {
	const read, execute = ll.AccessFSReadFile | ll.AccessFSReadDir, ll.AccessFSExecute
	fd, flags, err := handled.BestEffort().NewRulesetFD(
		landlock.PathAccess(own, w.Data),
		landlock.PathAccess(ll.AccessFSReadFile, w.Library),
		landlock.PathAccess(ll.AccessFSReadFile|execute, append(loaders, exe)...).IgnoreIfMissing(),
		landlock.PathAccess(read, existing(readable, true)...),
		landlock.PathAccess(ll.AccessFSReadFile, existing(readable, false)...),
		landlock.RWFiles(writable...),
	)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // the restriction stays
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	return ll.LandlockRestrictSelf(fd, flags)
}

// existing returns the directories or the files among paths: a right for directories is an error for a file.
func existing(paths []string, dirs bool) []string {
	var found []string
	for _, p := range paths {
		if fi, err := os.Stat(p); err == nil && fi.IsDir() == dirs {
			found = append(found, p)
		}
	}
	return found
}

// verify checks that the restriction is effective, on the root directory.
func verify() error {
	f, err := os.Open("/")
	if errors.Is(err, unix.EACCES) {
		return nil
	}
	if err == nil {
		_ = f.Close() // nothing was read
	}
	return ErrOutside
}
