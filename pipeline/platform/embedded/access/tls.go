package access

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"os"

	"ratchet/pipeline/platform/process"
)

// TLS says how addresses that other machines reach are served: with a certificate, or in plain text. Loopback ones need neither.
type TLS struct {
	Cert, Key string // files, PEM: the certificate with its chain, and its key; both or neither. They are read at the start
	Plaintext bool   // without
}

// Validate says which flags contradict each other.
func (t TLS) Validate() error {
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return process.Usagef("--tls-cert, --tls-key: want both or neither")
	case t.Cert != "" && t.Plaintext:
		return process.Usagef("--plaintext: other machines are served by TLS or without; leave it out, or leave out --tls-cert and --tls-key")
	}
	return nil
}

// Args are the flags that say the same.
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

// PEM is the content of both files, one behind the other; nil without them. Each is complete, and they belong together.
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

// Config is the server's side of TLS; nil without a certificate.
func (t TLS) Config() (*tls.Config, error) {
	pem, err := t.PEM()
	if err != nil || pem == nil {
		return nil, err
	}
	return TLSConfig(pem)
}

// TLSConfig is the same of what PEM returned; nil for nothing.
func TLSConfig(pem []byte) (*tls.Config, error) {
	if len(pem) == 0 {
		return nil, nil //nolint:nilnil // nil is served without
	}
	pair, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		return nil, process.Usagef("--tls-cert, --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// Secure makes a listener whose connections from other machines speak TLS. Those of this machine cross no network, and stay
// as they are. Without a configuration, all do.
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

// Accept is the next connection.
func (l secured) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || local(c) {
		return c, err
	}
	return tls.Server(c, l.config), nil
}

// local reports whether the other end is on this machine: by a loopback address, or by the one at which we are reached. No
// network delivers packets that claim to come from these.
func local(c net.Conn) bool {
	here, there := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	return there != (netip.AddrPort{}) && (there.Addr().IsLoopback() || there.Addr() == here.Addr())
}

// MayListen refuses an address that other machines reach, without a password, or in plain text unless that was asked for.
// flag is the one that chose the address.
func (t TLS) MayListen(flag string, addr net.Addr, data, password string) error {
	if Loopback(addr) {
		return t.Validate()
	}
	if password == "" {
		return process.Usagef("%s: other machines reach %s and could read and change everything; set a password in %s or use 127.0.0.1", flag, addr, PasswordPath(data))
	}
	if t.Cert == "" && !t.Plaintext {
		return process.Usagef("%s: passwords and data would cross the network to %s in plain text; give --tls-cert and --tls-key, use 127.0.0.1, or say --plaintext", flag, addr)
	}
	return t.Validate()
}
