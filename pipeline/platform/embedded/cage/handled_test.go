//go:build linux

package cage

import (
	"testing"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// A kernel that lacks a layer cannot show that a newer one has it, so the test compares the sets.
func TestEveryLayerIsHandledByAKernelThatHasIt(t *testing.T) {
	t.Parallel()
	for name, has := range map[string]bool{
		"files":                 own&^handled.HandledAccessFS == 0 && handled.HandledAccessFS&ll.AccessFSRefer != 0,
		"TCP connections":       covers(handled.HandledAccessNet, ll.AccessNetBindTCP|ll.AccessNetConnectTCP),
		"signals":               handled.Scoped&ll.ScopeSignal != 0,
		"abstract unix sockets": handled.Scoped&ll.ScopeAbstractUnixSocket != 0,
		"unix sockets":          handled.HandledAccessFS&ll.AccessFSResolveUnix != 0 && own&ll.AccessFSResolveUnix == 0,
		"UDP":                   covers(handled.HandledAccessNet, ll.AccessNetBindUDP|ll.AccessNetConnectSendUDP),
	} {
		if !has {
			t.Errorf("%s: not restricted on any kernel", name)
		}
	}
}

func covers(set, all landlock.AccessNetSet) bool { return set&all == all }
