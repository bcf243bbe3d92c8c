package standalone

import (
	"net"
	"net/url"

	"ratchet/pipeline/platform/embedded/access"
)

// Credentials adds the password of the data directory, if it has one, to the URL of a server on this machine that
// names none. Other URLs are unchanged.
func Credentials(raw, user, data string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	if _, given := u.User.Password(); given {
		return raw
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return raw
	}
	password, err := access.Read(data)
	if err != nil || password == "" {
		return raw // the command that uses it reports the error
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}
