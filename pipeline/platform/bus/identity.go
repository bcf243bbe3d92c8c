package bus

import (
	"errors"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/roles"
)

// checkIdentity rejects variables that contradict each other.
func (c Config) checkIdentity() error {
	ways := 0
	for _, one := range []string{c.User, c.Creds, c.NKey} {
		if one != "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return errors.New("NATS_USER, NATS_CREDS, NATS_NKEY: want one of them")
	case (c.User == "") != (c.Password == ""):
		return errors.New("NATS_USER: want it and NATS_PASSWORD_FILE (or NATS_PASSWORD), or neither")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("NATS_CERT, NATS_KEY: want both or neither")
	}
	return nil
}

// identity returns the options that authenticate the client, and an inbox that no other role may subscribe to.
func (c Config) identity(name string) ([]nats.Option, error) {
	if roles.Inbox(c.User) != roles.Inbox("") {
		name = c.User // a connection with a role's user gets that role's inbox
	}
	opts := []nats.Option{nats.CustomInboxPrefix(roles.Inbox(name))}
	switch {
	case c.User != "":
		opts = append(opts, nats.UserInfo(c.User, c.Password.Reveal()))
	case c.Creds != "":
		opts = append(opts, nats.UserCredentials(c.Creds))
	case c.NKey != "":
		key, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, process.Usagef("NATS_NKEY: %s does not hold the seed of an NKEY", c.NKey)
		}
		opts = append(opts, key)
	}
	if c.CA != "" {
		opts = append(opts, nats.RootCAs(c.CA))
	}
	if c.Cert != "" {
		opts = append(opts, nats.ClientCert(c.Cert, c.Key))
	}
	return opts, nil
}

// Configured reads the configuration of NATS from an environment.
type Configured struct {
	NATS Config `env:", prefix=NATS_"`
}

// Validate names the variable that is wrong.
func (c Configured) Validate() error { return c.NATS.Validate() }
