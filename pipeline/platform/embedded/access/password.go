package access

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// passwordFile is the name of the file in a data directory. Its first line is the password that clients must send.
const passwordFile = "password"

// PasswordPath returns the path of a data directory's password.
func PasswordPath(data string) string { return filepath.Join(data, passwordFile) }

// Read returns the password in a data directory; empty if there is none.
func Read(data string) (string, error) {
	b, err := os.ReadFile(PasswordPath(data))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	if first = strings.TrimSpace(first); first == "" {
		return "", fmt.Errorf("read the password: the first line of %s is empty; write one or delete the file", PasswordPath(data))
	}
	return first, nil
}

// Password returns the one in a data directory. If there is none
// and the system does not distinguish users, it generates one.
func Password(data string) (string, error) {
	password, err := Read(data)
	if err != nil || password != "" || NamesOwners() {
		return password, err
	}
	return generate(data)
}

// generate writes a password that only this user can read, atomically. Of two concurrent calls the first one wins.
func generate(data string) (string, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", fmt.Errorf("generate a password: %w; choose another directory with --data", err)
	}
	f, err := os.CreateTemp(data, passwordFile+"-") // 0600
	if err != nil {
		return "", fmt.Errorf("generate a password: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it was renamed, or is not needed
	_, err = f.WriteString(rand.Text() + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("generate a password: %w", err)
	}
	if err := os.Link(f.Name(), PasswordPath(data)); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("generate a password: %w", err)
	}
	return Read(data)
}

// Share copies the password of one data directory, if there is one, into another.
func Share(from, to string) error {
	password, err := Password(from)
	if err != nil || password == "" {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("copy the password: %w", err)
	}
	if err := os.WriteFile(PasswordPath(to), []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("copy the password: %w", err)
	}
	return nil
}

// Loopback reports whether an address is reachable only from this machine.
func Loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
