package access

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"os"

	"ratchet/pipeline/platform/process"
)

// TLS configures addresses that other machines can reach: with a
// certificate, or in plain text. Loopback addresses need neither.
type TLS struct {
	Cert, Key string // PEM files: the certificate with its chain, and its key; both or neither. They are read at the start
	Plaintext bool   // without TLS
}

// Validate rejects flags that contradict each other.
func (t TLS) Validate() error {
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return process.Usagef("--tls-cert, --tls-key: want both or neither")
	case t.Cert != "" && t.Plaintext:
		return process.Usagef("--plaintext: other machines are served with TLS or without; leave it out, or leave out --tls-cert and --tls-key")
	}
	return nil
}

// Args returns the equivalent flags.
func (t TLS) Args() []string {
	var args []string
	if t.Cert != "" {
		args = append(args, "--tls-cert", t.Cert, "--tls-key", t.Key)
	}
	if t.Plaintext {
		args = append(args, "--plaintext")
	}
	return args
}

// PEM returns the content of both files, concatenated; nil without them. It checks that both are complete and match.
func (t TLS) PEM() ([]byte, error) {
	if err := t.Validate(); err != nil || t.Cert == "" {
		return nil, err
	}
	cert, err := os.ReadFile(t.Cert)
	if err != nil {
		return nil, process.Usagef("--tls-cert: %w", err)
	}
	key, err := os.ReadFile(t.Key)
	if err != nil {
		return nil, process.Usagef("--tls-key: %w", err)
	}
	pem := bytes.Join([][]byte{cert, key}, []byte("\n"))
	_, err = TLSConfig(pem)
	return pem, err
}

// Config returns the server's TLS configuration; nil without a certificate.
func (t TLS) Config() (*tls.Config, error) {
	pem, err := t.PEM()
	if err != nil || pem == nil {
		return nil, err
	}
	return TLSConfig(pem)
}

// TLSConfig returns the configuration for a result of PEM; nil for nil.
func TLSConfig(pem []byte) (*tls.Config, error) {
	if len(pem) == 0 {
		return nil, nil //nolint:nilnil // nil means no TLS
	}
	pair, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		return nil, process.Usagef("--tls-cert, --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// Secure returns a listener whose connections from other machines use TLS. Connections of
// this machine cross no network and stay in plain text. Without a configuration all do.
func Secure(l net.Listener, c *tls.Config) net.Listener {
	if c == nil {
		return l
	}
	return secured{l, c}
}

type secured struct {
	net.Listener
	config *tls.Config
}

// Accept returns the next connection.
func (l secured) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || local(c) {
		return c, err
	}
	return tls.Server(c, l.config), nil
}

// local reports whether the other end is on this machine: it has a loopback address, or the
// address at which we were reached. No network delivers packets with such a source address.
func local(c net.Conn) bool {
	here, there := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	return there != (netip.AddrPort{}) && (there.Addr().IsLoopback() || there.Addr() == here.Addr())
}

// MayListen rejects an address that other machines can reach, without a password, or
// in plain text unless that was requested. flag is the one that chose the address.
func (t TLS) MayListen(flag string, addr net.Addr, data, password string) error {
	if Loopback(addr) {
		return t.Validate()
	}
	if password == "" {
		return process.Usagef("%s: other machines reach %s and could read and change everything; set a password in %s or use 127.0.0.1", flag, addr, PasswordPath(data))
	}
	if t.Cert == "" && !t.Plaintext {
		return process.Usagef("%s: passwords and data would cross the network to %s in plain text; give --tls-cert and --tls-key, use 127.0.0.1, or give --plaintext", flag, addr)
	}
	return t.Validate()
}
