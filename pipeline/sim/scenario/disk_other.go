//go:build !linux

package scenario

import "errors"

var errNoDisk = errors.New("a disk of its own needs Linux")

func mount(string) error   { return errNoDisk }
func unmount(string) error { return errNoDisk }
func shrink(string) error  { return errNoDisk }
func grow(string) error    { return errNoDisk }
