package daemon

import "log/slog"

// Secret is a string that no log, error or encoder prints.
type Secret string

const redacted = "[secret]"

// Reveal is the secret itself. Only the code that sends it calls this.
func (s Secret) Reveal() string { return string(s) }

// String keeps fmt from printing the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from printing the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps slog from printing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from printing the secret, nested or not.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
