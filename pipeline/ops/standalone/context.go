package standalone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"ratchet/pipeline/platform/process"
)

// natsContext is a context of the nats command: the part of its file that a box needs.
type natsContext struct {
	Description string `json:"description"` // begins with ours in a file of ours
	URL         string `json:"url"`
	User        string `json:"user,omitempty"`
	Password    string `json:"password,omitempty"`
}

// ours begins the description of a context that a box wrote.
const ours = "written by ratchet up --data "

var contextName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckContext reports why a context of the nats command cannot be written for a box with these options.
func CheckContext(name string, o Options) error {
	switch {
	case !contextName.MatchString(name):
		return process.Usagef("--nats-context: want letters, digits, - and _, got %q", name)
	case o.NATSAddr == "":
		return process.Usagef("--nats-context: this NATS has no address; set --nats")
	case o.TLS.Cert != "":
		return process.Usagef("--nats-context: this NATS asks for TLS, and its context needs the name in the certificate; use `nats context add`")
	}
	file, err := contextFile(name)
	if err != nil {
		return err
	}
	_, err = mayWrite(file, "nats://"+o.NATSAddr)
	return err
}

// WriteContext writes a context of the nats command for this box, over one that a box wrote. One of the same server
// that was not written by Ratchet is used unchanged. It returns the file, which stays when the box stops.
func (b *Box) WriteContext(name string) (string, error) {
	file, err := contextFile(name)
	if err != nil {
		return "", err
	}
	c := natsContext{Description: ours + b.o.Data, URL: bare(b.NATSURL, false)}
	if u, err := url.Parse(b.NATSURL); err == nil {
		c.User = u.User.Username()
		c.Password, _ = u.User.Password()
	}
	may, err := mayWrite(file, c.URL)
	if err != nil || !may {
		return file, err
	}
	body, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	if err = os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
		err = replace(file, body)
	}
	if err != nil {
		return "", fmt.Errorf("write the nats context: %w; leave --nats-context out", err)
	}
	return file, nil
}

// mayWrite reports whether a context can be written; an error if another server has its name.
func mayWrite(file, server string) (bool, error) {
	body, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	var c natsContext
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	switch {
	case err == nil && strings.HasPrefix(c.Description, ours):
		return true, nil
	case err == nil && c.URL == server:
		return false, nil
	}
	return false, process.Usagef("--nats-context: %s is the context of another server; choose another name, or remove that file", file)
}

// contextFile is where the nats command looks for a context.
func contextFile(name string) (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", process.Usagef("--nats-context: %w; set XDG_CONFIG_HOME", err)
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "nats", "context", name+".json"), nil
}

// replace writes a file whole or not at all, readable only by its user.
func replace(file string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".ratchet-*")
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
