package access

import (
	"crypto/subtle"
	"errors"
	"net/http"

	"ratchet/pipeline/platform/embedded/access/origin"
)

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
	from := origin.FromPage
	if d.Pages {
		from = origin.FromOtherPage
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
