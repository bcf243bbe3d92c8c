package page

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"ratchet/pipeline/platform/embedded/access/origin"
	"ratchet/pipeline/platform/process"
)

// lan admits other machines of a private network to a page in plain HTTP:
//
//	/enter?code=…  a code that works once ─▶ a cookie that no script and no other site can use
//	everything else wants the cookie, a private address, and our own address as its Host
type lan struct {
	addr netip.AddrPort // where it is served: a private address

	mu     sync.Mutex
	codes  map[string]time.Time // the unused ones and when they expire, machine time
	opened map[string]bool      // the cookies
}

const (
	cookieName = "ratchet"
	cookieFor  = 30 * 24 * time.Hour
	// codeFor is how long an unused code works, machine time, and mostCodes how many there may be.
	codeFor   = time.Hour
	mostCodes = 16
	// mostCookies bounds how many phones are admitted.
	mostCookies = 64
)

// listenLAN takes the port of the page on the private address of this machine.
func listenLAN(port int) (net.Listener, error) {
	addr, err := privateAddr()
	if err != nil {
		return nil, &process.UsageError{Err: err}
	}
	return process.Listen("--page-lan", netip.AddrPortFrom(addr, uint16(port)).String()) //nolint:gosec // a port
}

// privateAddr returns the address of this machine in its private network: that of the default route, else any.
func privateAddr() (netip.Addr, error) {
	// A datagram socket sends nothing when it is connected; the kernel only chooses the address. It is one for examples.
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil { //nolint:noctx // it does not wait
		defer func() { _ = c.Close() }() // nothing was sent
		if udp, ok := c.LocalAddr().(*net.UDPAddr); ok && udp.AddrPort().Addr().Unmap().IsPrivate() {
			return udp.AddrPort().Addr().Unmap(), nil
		}
	}
	all, err := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsPrivate() {
			return p.Addr(), nil
		}
	}
	if err == nil {
		err = errors.New("--page-lan: this machine has no private address (10.…, 172.16.… to 172.31.…, 192.168.…), and no other is served in plain HTTP; use --page with --tls-cert and --tls-key")
	}
	return netip.Addr{}, err
}

func newLAN(l net.Listener) *lan {
	tcp, _ := l.Addr().(*net.TCPAddr) // that is what was listened on
	return &lan{addr: tcp.AddrPort(), codes: map[string]time.Time{}, opened: map[string]bool{}}
}

// invite returns an address with a new code.
func (n *lan) invite() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for code, until := range n.codes {
		if process.MachineNow().After(until) || len(n.codes) >= mostCodes {
			delete(n.codes, code)
		}
	}
	code := rand.Text()
	n.codes[code] = process.MachineNow().Add(codeFor)
	return fmt.Sprintf("http://%s/enter?code=%s", n.addr, code)
}

// enter exchanges a code for the cookie.
func (n *lan) enter(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	code := r.URL.Query().Get("code")
	until, ok := n.codes[code]
	delete(n.codes, code)
	if !ok || process.MachineNow().After(until) || len(n.opened) >= mostCookies {
		http.Error(w, "refused: this code was used, or is too old. Start again with --page-lan, or open /phone on the machine where Ratchet runs.", http.StatusForbidden)
		return
	}
	secret := rand.Text()
	n.opened[secret] = true
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure: it is for plain HTTP
		Name: cookieName, Value: secret, Path: "/", MaxAge: int(cookieFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// before returns h for clients with a cookie.
func (n *lan) before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := n.reached(r)
		switch {
		case err == nil && r.URL.Path == "/enter" && r.Method == http.MethodGet:
			n.enter(w, r)
			return
		case err == nil && !n.admitted(r):
			err = errors.New("refused: scan the code that Ratchet shows at its start, or the one of /phone on the machine where it runs")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// reached refuses requests from outside of the private network or to another address, and those of other pages.
func (n *lan) reached(r *http.Request) error {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if ip := from.Addr().Unmap(); err != nil || !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
		return errors.New("refused: only addresses of a private network are served here")
	}
	if r.Host != n.addr.String() {
		return fmt.Errorf("requests for host %q are refused: use %s", r.Host, n.addr)
	}
	return origin.FromOtherPage(r, true)
}

func (n *lan) admitted(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opened[c.Value]
}
