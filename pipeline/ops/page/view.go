package page

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"ratchet/pipeline/platform/process"
)

// asked is the request for a page.
type asked struct {
	asin  string // of a page about one
	query url.Values
}

// key identifies the view.
func (a asked) key() string { return a.asin + "?" + a.query.Encode() }

// view is a kind of page.
type view struct {
	name   string // in the navigation, of its template and of its events
	title  func(asked) string
	topics func(asked) []string
	// fixed renders what is around the fragment and does not change while the page is open; may be nil.
	fixed func(*Server, asked) any
	// fragment renders what is kept current.
	fragment func(context.Context, *Server, asked) (any, error)
	cached   func(*Server) *cache // nil: rendered each time
	// fresh is how often it is rendered without a change, because it shows ages; 0: as usual.
	fresh time.Duration
}

// notFound is the error of a request for something that does not exist, in a sentence.
type notFound struct{ error }

// frame is what every page has.
type frame struct {
	Here, Title string
	Simulated   bool
	Styles      []string
	Script      string
	Icon        string
	Token       string
	Back        string // where a form returns to
	Events      string // the address of the changes; empty if nothing changes
	Epoch       string
	Version     string
	Pulse       pulse
	Notice      *notice
	Fixed       any
	Fragment    template.HTML // rendered by its own template
}

// show answers with a whole page.
func (s *Server) show(of func() view) http.HandlerFunc {
	v := of()
	return func(w http.ResponseWriter, r *http.Request) {
		a := asked{asin: r.PathValue("asin"), query: r.URL.Query()}
		html, at, err := s.render(r.Context(), v, a)
		if err != nil {
			s.fail(w, err)
			return
		}
		f := s.frame(v, a)
		f.Fragment = html
		f.Events = eventsOf(v, a, at)
		if v.fixed != nil {
			f.Fixed = v.fixed(s, a)
		}
		s.write(w, http.StatusOK, f)
	}
}

func (s *Server) frame(v view, a asked) frame {
	f := frame{
		Here: v.name, Title: v.title(a), Simulated: s.simulated(), Styles: []string{asset("page.css")}, Script: asset("page.js"), Icon: asset("icon.svg"),
		Token: s.token, Epoch: s.epoch, Version: s.env.Version, Pulse: s.machine.pulse(), Notice: noticeOf(a.query),
	}
	if slices.Contains([]string{dealName, machineName, replaysName}, v.name) {
		f.Styles = append(f.Styles, asset("chart.css"))
	}
	back := url.Values{}
	for name, values := range a.query {
		if !slices.Contains(notices, name) {
			back[name] = values
		}
	}
	path := cmp.Or(map[string]string{dealsName: "/", dealName: "/deal/" + a.asin}[v.name], "/"+v.name)
	f.Back = (&url.URL{Path: path, RawQuery: back.Encode()}).String()
	return f
}

// simulated reports whether anything that is shown comes from a simulated Keepa.
func (s *Server) simulated() bool {
	if s.o.Simulated {
		return true
	}
	deals := s.live.Snapshot().Deals
	for i := range deals {
		if deals[i].Simulated {
			return true
		}
	}
	return false
}

func (s *Server) write(w http.ResponseWriter, status int, f frame) {
	var page bytes.Buffer
	err := templates.ExecuteTemplate(&page, "frame.html", f)
	switch {
	case err != nil && f.Here == failedName:
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	case err != nil:
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the client may have disconnected
}

// fail answers with an error in a page of the usual layout.
func (s *Server) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var missing notFound
	switch {
	case errors.As(err, &missing):
		status = http.StatusNotFound
	case errors.Is(err, context.Canceled):
		status = http.StatusServiceUnavailable
	}
	f := s.frame(view{name: failedName, title: func(asked) string { return "Not shown" }}, asked{})
	f.Fixed = err.Error()
	s.write(w, status, f)
}

// render returns a view's fragment and its name, which is the same for the same content.
func (s *Server) render(ctx context.Context, v view, a asked) (template.HTML, string, error) {
	draw := func() (rendered, error) {
		model, err := v.fragment(ctx, s, a)
		if err != nil {
			return rendered{}, err
		}
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, v.name+".html", model); err != nil {
			return rendered{}, err
		}
		sum := sha256.Sum256(out.Bytes())
		return rendered{html: template.HTML(out.String()), at: hex.EncodeToString(sum[:8])}, nil //nolint:gosec // html/template made it
	}
	if v.cached == nil {
		r, err := draw()
		return r.html, r.at, err
	}
	r, err := v.cached(s).of(s.live.Snapshot().Version, a.key(), draw)
	return r.html, r.at, err
}

// rendered is a fragment.
type rendered struct {
	html template.HTML
	at   string
}

// cache keeps fragments of one version, so that equal pages are rendered once for a change.
type cache struct {
	mu      sync.Mutex
	version uint64
	made    time.Time // when the oldest was made, machine time
	kept    map[string]rendered
}

const (
	mostKept = 64
	keptFor  = 20 * time.Second // ages are shown
)

func (c *cache) of(version uint64, key string, draw func() (rendered, error)) (rendered, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || version != c.version || len(c.kept) >= mostKept || process.MachineSince(c.made) > keptFor {
		c.kept, c.version, c.made = map[string]rendered{}, version, process.MachineNow()
	}
	if r, ok := c.kept[key]; ok {
		return r, nil
	}
	r, err := draw()
	if err == nil {
		c.kept[key] = r
	}
	return r, err
}
