package access

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// FromPage rejects requests of web pages: a page in a browser can reach a port on this machine, and its own
// host name may resolve to it. With anyHost, names other than this machine's loopback ones are accepted.
func FromPage(r *http.Request, anyHost bool) error {
	if len(r.Header.Values("Origin")) > 0 {
		return errors.New("requests from web pages (with an Origin header) are refused")
	}
	return fromOtherSite(r, anyHost)
}

// FromOtherPage is FromPage for a server of pages: those that it served may send requests, from their own origin.
func FromOtherPage(r *http.Request, anyHost bool) error {
	ours := "http://" + r.Host
	if r.TLS != nil {
		ours = "https://" + r.Host
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != ours {
			return fmt.Errorf("requests from web pages of other sites (with the Origin %q) are refused", origin)
		}
	}
	return fromOtherSite(r, anyHost)
}

func fromOtherSite(r *http.Request, anyHost bool) error {
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

// Guard checks access for an HTTP handler that has no checks of its own.
type Guard struct {
	Password string // required by Basic authentication, with any user; empty: only the same user is admitted
	AnyHost  bool   // names other than loopback ones are accepted
	Pages    bool   // h serves pages, which may send requests; a browser is asked for the password
}

var errPassword = errors.New("refused: the password is missing or wrong")

// Before returns h behind the checks. No other origin can read its answers, whatever headers h sets.
func (d Guard) Before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := d.admit(r); err != nil {
			Leave(w)
			status := http.StatusForbidden
			if d.Pages && errors.Is(err, errPassword) {
				w.Header().Set("WWW-Authenticate", `Basic realm="Ratchet", charset="UTF-8"`)
				status = http.StatusUnauthorized
			}
			http.Error(w, err.Error(), status)
			return
		}
		h.ServeHTTP(sameOrigin{w}, r)
	})
}

// Leave closes the connection after the answer. Those of rejected clients would
// otherwise be kept open, until this process has no descriptors left for its files.
func Leave(w http.ResponseWriter) { w.Header().Set("Connection", "close") }

func (d Guard) admit(r *http.Request) error {
	from := FromPage
	if d.Pages {
		from = FromOtherPage
	}
	if err := from(r, d.AnyHost); err != nil {
		return err
	}
	if d.Password == "" {
		return SameUser(r.Context())
	}
	if _, password, _ := r.BasicAuth(); !Equal(password, d.Password) {
		return errPassword
	}
	return nil
}

// Equal compares secrets in constant time.
func Equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// sameOrigin removes the header by which other origins may read.
type sameOrigin struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w sameOrigin) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the headers.
func (w sameOrigin) WriteHeader(status int) {
	w.Header().Del("Access-Control-Allow-Origin")
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a piece of the body.
func (w sameOrigin) Write(b []byte) (int, error) {
	w.Header().Del("Access-Control-Allow-Origin") // if this is the first write
	return w.ResponseWriter.Write(b)
}
