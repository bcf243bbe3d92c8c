package access

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// FromPage refuses what a page in a browser sends: it can reach a port on this machine, and a name of its own may point
// here. With anyHost, names other than this machine's loopback ones are taken.
func FromPage(r *http.Request, anyHost bool) error {
	if len(r.Header.Values("Origin")) > 0 {
		return errors.New("requests from web pages (with an Origin header) are refused")
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "none" && site != "same-origin" {
			return errors.New("requests from web pages of other sites are refused")
		}
	}
	if !anyHost && !loopbackHost(r.Host) {
		return fmt.Errorf("requests for host %q are refused: use 127.0.0.1 or localhost", r.Host)
	}
	return nil
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Door is what stands before an HTTP handler that lets everybody in.
type Door struct {
	Password string // asked for by Basic authentication, with any user; empty: the same user alone gets in
	AnyHost  bool   // names other than loopback ones are taken
}

// Before is h behind the door. No other origin reads its answers, whatever h says about that.
func (d Door) Before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := d.admit(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		h.ServeHTTP(sameOrigin{w}, r)
	})
}

func (d Door) admit(r *http.Request) error {
	if err := FromPage(r, d.AnyHost); err != nil {
		return err
	}
	if d.Password == "" {
		return SameUser(r.Context())
	}
	if _, password, _ := r.BasicAuth(); !Equal(password, d.Password) {
		return errors.New("refused: the password is missing or wrong")
	}
	return nil
}

// Equal compares secrets in a time that tells nothing.
func Equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// sameOrigin takes back that other origins may read.
type sameOrigin struct{ http.ResponseWriter }

// WriteHeader sends the headers.
func (w sameOrigin) WriteHeader(status int) {
	w.Header().Del("Access-Control-Allow-Origin")
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a piece of the body.
func (w sameOrigin) Write(b []byte) (int, error) {
	w.Header().Del("Access-Control-Allow-Origin") // where it is the first
	return w.ResponseWriter.Write(b)
}
