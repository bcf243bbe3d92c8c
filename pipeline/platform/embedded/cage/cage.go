// Package cage restricts a process that is about to run foreign code: to its own directory, to no connection out, and to
// no signal to processes outside. It uses Landlock, which needs no privilege and cannot be undone.
//
//	Enter ─▶ the thread is restricted ─▶ the program is executed again ─▶ Enter: inside
//
// The program starts anew because Landlock restricts a thread and what it starts: the threads that a Go program has by
// then would stay outside. Kernels know more or less of this, so Missing names what the running one lacks.
package cage

import (
	"errors"
	"os"
)

// Walls say what the process may still reach.
type Walls struct {
	Data    string   // directory it owns: everything within
	Library string   // file it loads
	Env     []string // its environment
	// WithParent is for a process whose parent asked the kernel to kill it when the parent dies: the wish does not survive by itself.
	WithParent bool
	// Keep are open files that it goes on using; each one's number is in the variable of the environment by which it is named.
	Keep map[string]*os.File
}

// inside marks the environment of a program that was executed again.
const inside = "RATCHET_CAGED"

// Inside reports whether Enter has executed this program.
func Inside() bool { return os.Getenv(inside) != "" }

// ErrOutside means that the process runs as if it were restricted and is not.
var ErrOutside = errors.New("this process should be restricted by Landlock and is not")

// Layer is one restriction.
type Layer struct {
	Name string
	abi  int // the first version of Landlock that has it
}

// layers are what the package restricts. Before version 2 no file could be moved between directories, which the engine
// does all the time.
var layers = []Layer{{"files", 2}, {"connections", 4}, {"signals", 6}}

// Missing are the names of the layers that this kernel lacks.
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
