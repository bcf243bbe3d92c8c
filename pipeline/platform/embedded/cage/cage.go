// Package cage restricts a process before it runs foreign code: to its own directory, and to no TCP connection, no
// datagram, no unix socket and no signal to other processes. It uses Landlock, which needs no privilege and cannot be
// undone.
//
//	Enter ─▶ the thread is restricted ─▶ the program is executed again ─▶ Enter: inside
//
// The program is executed again because Landlock restricts a thread and what it
// starts: the existing threads of a Go program would stay unrestricted. Kernels
// support different parts of this; Missing names those that the running one lacks.
// No version of Landlock restricts Multipath TCP or other kinds of sockets.
package cage

import (
	"errors"
	"os"
)

// Walls configure what the process can still reach.
type Walls struct {
	Data    string   // its own directory, with everything below
	Library string   // a file that it loads
	Env     []string // its environment
	// WithParent is for a process whose parent has set its parent-death
	// signal to SIGKILL, which does not survive executing the program again.
	WithParent bool
	// Keep are open files to pass on; the variable of the environment with the key's name holds the number of each.
	Keep map[string]*os.File
}

// inside marks the environment of a program that was executed again.
const inside = "RATCHET_CAGED"

// Inside reports whether Enter has executed this program.
func Inside() bool { return os.Getenv(inside) != "" }

// ErrOutside means that the process should be restricted but is not.
var ErrOutside = errors.New("this process should be restricted by Landlock and is not")

// Layer is one kind of restriction.
type Layer struct {
	Name string
	abi  int // the first version of Landlock that supports it
}

// layers are the restrictions of this package. Before version 2 no file
// could be moved between directories, which the engine does frequently.
var layers = []Layer{
	{"files", 2},
	{"TCP connections", 4},
	{"signals", 6},
	{"abstract unix sockets", 6}, // those without a file
	{"unix sockets", 9},
	{"UDP", 10},
}

// Missing returns the names of the layers that this kernel lacks.
func Missing() []string { return missing(version()) }

func missing(abi int) []string {
	var names []string
	for _, l := range layers {
		if abi < l.abi {
			names = append(names, l.Name)
		}
	}
	return names
}
