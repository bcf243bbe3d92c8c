package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/embedded/access"
)

// A form has one button: its name is the action and its value the target. Further arguments are in fields whose
// names end in that value:
//
//	buy=DOMAIN-ASIN-PRICETYPE     price-…
//	ignore=DOMAIN-ASIN-PRICETYPE  what-… (asin, seller or brand), for-…
//	undo=KIND:BY:DOMAIN:VALUE
//	retry=LETTER
//	apply=RULESET                 a value for each threshold, and the plan; see whatif.go
//	measure=1
const mostForm = 64 << 10

var errForm = errors.New("the form is not from this page, or from before its server was started again: load the page again")

// act executes what `ratchet buy`, `ignore`, `dead retry` and `rules apply` do.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	f := r.PostForm
	if !access.Equal(f.Get("token"), s.token) {
		http.Error(w, errForm.Error(), http.StatusForbidden)
		return
	}
	did, err := s.does(r, f)
	if err != nil {
		s.refuse(w, f, err)
		return
	}
	if f.Get("quiet") != "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = templates.ExecuteTemplate(w, "notice", frame{Notice: did, Token: s.token, Back: back(f)})
		return
	}
	http.Redirect(w, r, did.address(back(f)), http.StatusSeeOther)
}

// refuse answers why nothing was done.
func (s *Server) refuse(w http.ResponseWriter, f url.Values, err error) {
	if f.Get("quiet") != "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = templates.ExecuteTemplate(w, "notice", frame{Notice: &notice{Says: "Nothing was done: " + err.Error(), Wrong: true}})
		return
	}
	s.fail(w, err)
}

// back returns the page that has the form: a path of this server.
func back(f url.Values) string {
	u, err := url.Parse(f.Get("back"))
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.Query().Encode()}).String()
}

// does reads the action and executes it.
func (s *Server) does(r *http.Request, f url.Values) (*notice, error) {
	switch {
	case f.Get("retry") != "":
		return s.retry(r, f.Get("retry"))
	case f.Get("apply") != "":
		return s.apply(r, f)
	case f.Get("measure") != "":
		return s.measure()
	}
	for _, kind := range []action.Kind{action.Buy, action.Ignore, action.Undo} {
		of := f.Get(string(kind))
		if of == "" {
			continue
		}
		if kind == action.Undo {
			return s.undo(r, of)
		}
		a, err := s.actionOf(kind, of, f)
		if err != nil {
			return nil, err
		}
		if _, err := cli.Act(r.Context(), s.b, a); err != nil {
			return nil, err
		}
		return saying(a, false), nil
	}
	return nil, errors.New("the form has no action")
}

// retry retries a dead letter, as `ratchet dead retry` does, for no token.
func (s *Server) retry(r *http.Request, of string) (*notice, error) {
	n, err := strconv.ParseUint(of, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q names no dead letter", of)
	}
	l, err := cli.DeadLetter(r.Context(), s.b, n)
	if err != nil {
		return nil, err
	}
	if _, err := cli.Retry(r.Context(), s.b, l, false); err != nil {
		return nil, err
	}
	s.machine.again.Store(true)
	s.machine.hint.Give()
	return retried(n), nil
}

func retried(n uint64) *notice {
	return &notice{Says: fmt.Sprintf("Letter %d is retried, from what is stored.", n), did: fmt.Sprintf("retried=%d", n)}
}

func (s *Server) undo(r *http.Request, of string) (*notice, error) {
	a, err := undoOf(of)
	if err != nil {
		return nil, err
	}
	a.At = s.env.Now()
	done, err := cli.Undo(r.Context(), s.b, a)
	if err == nil && !done {
		err = errors.New("there is nothing to undo")
	}
	a.Kind = a.Of
	return saying(a, true), err
}

// actionOf returns the action of a deal's button.
func (s *Server) actionOf(kind action.Kind, of string, f url.Values) (action.Action, error) {
	a := action.Action{Kind: kind, At: s.env.Now()}
	parts := strings.Split(of, "-")
	if len(parts) != 3 {
		return a, fmt.Errorf("%q names no deal", of)
	}
	domain, err := strconv.Atoi(parts[0])
	if err != nil {
		return a, fmt.Errorf("%q names no deal", of)
	}
	asin, err := action.Clean(action.ByASIN, parts[1])
	if err != nil {
		return a, err
	}
	a.Target = action.Target{By: action.ByASIN, Domain: domain, Value: asin}
	d := s.held(of)
	if kind == action.Buy {
		var price cli.Amount
		if err := price.UnmarshalText([]byte(strings.TrimSpace(f.Get("price-" + of)))); err != nil || *price.Units < 0 {
			return a, fmt.Errorf("price %q: want what the copy cost, like 12.50", f.Get("price-"+of))
		}
		condition := d.Condition
		if !slices.Contains(cli.Conditions(), condition) {
			condition = ""
		}
		return cli.Trade(a, *price.Units, condition, a.At, 1), nil
	}
	switch by := action.By(f.Get("what-" + of)); by {
	case "", action.ByASIN:
	case action.BySeller:
		a.Target, err = targetOf(by, d.SellerID)
	case action.ByBrand:
		a.Target, err = targetOf(by, d.Brand.String())
	default:
		err = fmt.Errorf("%q: want asin, seller or brand", by)
	}
	var span cli.Span
	if long := f.Get("for-" + of); err == nil && long != "" {
		if err = span.UnmarshalText([]byte(long)); err == nil && span > 0 {
			a.Until = a.At.Add(time.Duration(span)).Truncate(time.Second)
		}
	}
	return a, err
}

func targetOf(by action.By, value string) (action.Target, error) {
	value, err := action.Clean(by, value)
	return action.Target{By: by, Value: value}, err
}

// held returns the deal that a form refers to; empty if it is no longer visible.
func (s *Server) held(key string) cli.Deal {
	for _, d := range s.live.Snapshot().Deals {
		if fmt.Sprintf("%d-%s-%d", d.Domain, d.ASIN, d.PriceType) == key {
			return d
		}
	}
	return cli.Deal{}
}

// notice describes what was done.
type notice struct {
	Says  string
	Undo  string // the value of the button that undoes it; empty if it was undone
	Wrong bool
	did   string
}

// saying returns the notice of an action that was done or undone.
func saying(a action.Action, undone bool) *notice {
	n := &notice{Says: cli.Sentence(a), did: "did"}
	of := fmt.Sprintf("%s:%s:%d:%s", a.Kind, a.By, a.Domain, a.Value)
	if undone {
		n.Says, n.did = "Undone: "+n.Says, "undid"
	} else {
		n.Undo = of
	}
	n.did += "=" + url.QueryEscape(of)
	return n
}

// address returns the address of a page with the notice on it.
func (n *notice) address(back string) string {
	glue := "?"
	if strings.Contains(back, "?") {
		glue = "&"
	}
	return back + glue + n.did
}

// notices are the parameters of an address that describe what was done.
var notices = []string{"did", "undid", "retried", "applied", "measured"}

// noticeOf returns the notice of an address; nil without one. Its text is ours, so that an address can claim only what
// the buttons do.
func noticeOf(q url.Values) *notice {
	for name, undone := range map[string]bool{"did": false, "undid": true} {
		if a, err := undoOf(q.Get(name)); err == nil {
			a.Kind = a.Of
			return saying(a, undone)
		}
	}
	if n, err := strconv.ParseUint(q.Get("retried"), 10, 64); err == nil {
		return retried(n)
	}
	version, of, several := strings.Cut(q.Get("applied"), ",")
	if n, err := strconv.Atoi(version); err == nil {
		if p, err := pipeline.PlanOf(of); err == nil && several {
			return applied(n, p.String())
		}
		return applied(n, "")
	}
	if q.Get("measured") != "" {
		return measured()
	}
	return nil
}

// undoOf reads KIND:BY:DOMAIN:VALUE.
func undoOf(of string) (action.Action, error) {
	parts := strings.SplitN(of, ":", 4)
	if len(parts) != 4 {
		return action.Action{}, fmt.Errorf("%q names no action", of)
	}
	kind, by := action.Kind(parts[0]), action.By(parts[1])
	domain, err := strconv.Atoi(parts[2])
	if err != nil || kind != action.Buy && kind != action.Ignore {
		return action.Action{}, fmt.Errorf("%q names no action", of)
	}
	value, err := action.Clean(by, parts[3])
	return action.Action{Of: kind, Target: action.Target{By: by, Domain: domain, Value: value}}, err
}
