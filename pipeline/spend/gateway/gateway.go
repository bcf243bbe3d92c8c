// Package gateway is the only client of Keepa. A paid call requires a claim, and
// every way in which a call can end has a type: none of them means "no data".
//
// The key is in the URL of every request, so no URL and no transport
// error leaves this package, and the key is removed from Keepa's answers.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/spend/claims"
)

// Config configures the connection to Keepa.
type Config struct {
	// URL is Keepa's address: https, or http on this machine and for the key "simulated".
	URL string `env:"URL, default=https://api.keepa.com"`
	// Key is the API key. It is never printed.
	Key process.Secret `env:"API_KEY"`
	// Plan is the name of the key, where a deployment has several: the process works only for the marketplaces of its
	// plan. Unset, or main: the first key. `ratchet topology apply --plans` defines the plans.
	Plan pipeline.Plan `env:"PLAN"`
	// Timeout bounds a call, on the machine's clock, as does a claim's lifetime. Three timeouts, with the
	// waits between them, take less than ten minutes; the slowest answer that was measured took 20 s.
	Timeout time.Duration `env:"TIMEOUT, default=75s"`
}

// Validate reports a variable that is wrong, by name.
func (c Config) Validate() error {
	if c.Key == "" {
		return errors.New("KEEPA_API_KEY: must not be empty; use any word for a simulated Keepa")
	}
	if err := CheckURL(c.URL, c.Key); err != nil {
		return err
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("KEEPA_TIMEOUT: want a positive duration, got %s", c.Timeout)
	}
	return nil
}

// CheckURL reports why the key must not be sent to an address. It does
// not repeat an address that it cannot parse, which may contain a secret.
func CheckURL(address string, key process.Secret) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("KEEPA_URL: not an address of Keepa; want https://host, or http://127.0.0.1:port for one on this machine")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) && key != Simulated {
		return fmt.Errorf("KEEPA_URL: the key would cross the network to %s in plain text; want https://, or KEEPA_API_KEY=%s for a simulated Keepa", u.Host, Simulated.Reveal())
	}
	return nil
}

// Simulated is the key of a simulated Keepa. It is not secret.
const Simulated process.Secret = "simulated"

// loopback reports whether a host is reachable only from this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Gateway makes the calls to Keepa.
type Gateway struct {
	cfg   Config
	env   process.Env
	http  *http.Client
	scrub scrubber
	now   func() time.Time // the machine's clock
}

// New returns a gateway. It makes no call.
func New(cfg Config, env process.Env) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, &process.UsageError{Err: err}
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 30 * time.Second,
		DisableCompression:  true, // we request gzip and unpack it ourselves, for errors too
		// net/http silently repeats a GET when a reused connection breaks before the answer; Keepa would charge both.
		DisableKeepAlives: true,
		Proxy:             http.ProxyFromEnvironment,

		MaxResponseHeaderBytes: maxHeader,
	}
	client := &http.Client{Transport: transport, CheckRedirect: noRedirect}
	return &Gateway{cfg: cfg, env: env, http: client, scrub: scrubberOf(cfg.Key), now: process.MachineNow}, nil
}

// noRedirect prevents redirects, which would send the key to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Answer is Keepa's answer to a call that it executed.
type Answer struct {
	Body          []byte
	Envelope      keepa.Envelope
	Consumed      int  // tokens
	ConsumedKnown bool // false if the envelope lacked it
	// Part is why the answer is partial; nil for a complete one. What arrived was paid for.
	Part       error
	Reading    *pipeline.Reading
	Request    string    // path and query, without the key
	AnsweredAt time.Time // pipeline time
	HTTPStatus int
}

// MaxASINs is the most products or sellers of one call.
const MaxASINs = 100

// Deals requests one page of the deal list; selection is Keepa's JSON.
func (g *Gateway) Deals(ctx context.Context, c *claims.Claim, domain int, selection []byte) (Answer, error) {
	var sel struct {
		Domain int `json:"domainId"`
	}
	if err := json.Unmarshal(selection, &sel); err != nil {
		return Answer{}, fmt.Errorf("request deals: selection: %w", err)
	}
	if sel.Domain != domain || !lists(domain) {
		return Answer{}, fmt.Errorf("request deals: selection wants domain %d, the caller %d; the deal list knows 1-6 and 8-11", sel.Domain, domain)
	}
	q := url.Values{"selection": {string(selection)}}
	return g.paid(ctx, c, "deal", q, 1)
}

// Products requests products: without offers, statistics and
// history at 1 token each; with offers, the live offers too.
func (g *Gateway) Products(ctx context.Context, c *claims.Claim, domain int, asins []string, offers bool) (Answer, error) {
	if err := validate("ASINs", asins); err != nil {
		return Answer{}, err
	}
	if !lists(domain) && domain != 12 {
		return Answer{}, fmt.Errorf("request products: no domain %d", domain)
	}
	q := url.Values{
		"domain": {strconv.Itoa(domain)}, "asin": {strings.Join(asins, ",")},
		"stats": {"365"}, "history": {"1"},
	}
	if offers {
		q.Set("offers", "20") // the documented minimum; fewer are rejected
	}
	return g.paid(ctx, c, "product", q, len(asins))
}

// Sellers requests sellers, at 1 token for each that is found.
func (g *Gateway) Sellers(ctx context.Context, c *claims.Claim, domain int, ids []string) (Answer, error) {
	if err := validate("sellers", ids); err != nil {
		return Answer{}, err
	}
	if !lists(domain) {
		return Answer{}, fmt.Errorf("request sellers: no domain %d", domain)
	}
	return g.paid(ctx, c, "seller", url.Values{"domain": {strconv.Itoa(domain)}, "seller": {strings.Join(ids, ",")}}, len(ids))
}

// Token requests the balance. It is free, so it needs no claim.
func (g *Gateway) Token(ctx context.Context) (pipeline.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, min(g.cfg.Timeout, 20*time.Second))
	defer cancel()
	a, err := g.call(ctx, "token", url.Values{})
	if err != nil {
		return pipeline.Reading{}, err
	}
	if a.Reading == nil && a.Envelope.Timestamp > 0 {
		// Zeroes with a timestamp are an answer about this account: its plan has no income.
		plan := pipeline.Reading{TS: a.Envelope.Timestamp, Rate: a.Envelope.RefillRate, FlowRed: a.Envelope.TokenFlowReduction}
		return pipeline.Reading{}, &Error{Kind: NoIncome, Request: a.Request, Status: a.HTTPStatus, Detail: token.Starved(plan)}
	}
	if a.Reading == nil {
		return pipeline.Reading{}, &Error{Kind: Malformed, Request: a.Request, Detail: "no balance in the answer"}
	}
	return *a.Reading, nil
}

// lists reports whether Keepa serves this domain on every endpoint.
func lists(domain int) bool { return domain >= 1 && domain <= 11 && domain != 7 }

func validate(what string, ids []string) error {
	if len(ids) == 0 || len(ids) > MaxASINs {
		return fmt.Errorf("request %d %s: want 1 to %d", len(ids), what, MaxASINs)
	}
	for _, id := range ids {
		if id == "" || strings.ContainsFunc(id, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z')
		}) {
			return fmt.Errorf("request %q: not an id of %s", id, what)
		}
	}
	return nil
}

// paid makes a call under a claim, if the claim is still young enough.
func (g *Gateway) paid(ctx context.Context, c *claims.Claim, endpoint string, q url.Values, items int) (Answer, error) {
	if c == nil {
		return Answer{}, errors.New("call Keepa: no claim is held")
	}
	if !g.now().Before(c.StartBy()) {
		return Answer{}, &Error{Kind: TooLate, Request: endpoint, Detail: "the claim is too old to start a call"}
	}
	deadline := c.Deadline()
	if d := g.now().Add(g.cfg.Timeout); d.Before(deadline) {
		deadline = d
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	span := trace.Call(ctx, "keepa") // never with the URL: it holds the key
	span.Text("ratchet.endpoint", endpoint)
	a, err := g.call(ctx, endpoint, q)
	span.Number("ratchet.tokens", a.Consumed)
	span.Number("http.response.status_code", a.HTTPStatus)
	if e, ok := errors.AsType[*Error](err); ok {
		span.Fail(string(e.Kind))
	}
	span.End()
	return a, err
}

func (g *Gateway) call(ctx context.Context, endpoint string, q url.Values) (Answer, error) {
	a := Answer{Request: "/" + endpoint + "?" + q.Encode()}
	q.Set("key", g.cfg.Key.Reveal())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(g.cfg.URL, "/")+"/"+endpoint+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return a, &Error{Kind: Unexpected, Request: a.Request, Detail: "the request cannot be built"}
	}
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "ratchet/"+g.env.Version)
	resp, err := g.http.Do(req)
	if err != nil {
		return a, transport(a.Request, err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below, or given up
	a.HTTPStatus = resp.StatusCode
	a.Body, err = read(resp, most(endpoint, q))
	a.Body = g.scrub.body(a.Body)
	a.AnsweredAt = g.env.Now()
	tooLarge := errors.Is(err, errTooLarge)
	if err != nil {
		cut := transport(a.Request, err)
		cut.damaged = cut.Kind == Malformed && !tooLarge
		a.Part = cut
	}
	a, err = classify(a, resp.Header)
	if e, ok := errors.AsType[*Error](err); ok {
		e.Detail = g.scrub.text(e.Detail) // decoding may have joined what was separated in the body
		if tooLarge {
			e.Body = nil // not Keepa's answer, and not paid for
		}
	}
	return a, err
}

// classify converts status and envelope to an answer or a typed error. An error in
// a 200 is an error. A partial answer is an answer, because it was paid for.
func classify(a Answer, head http.Header) (Answer, error) {
	env, decodeErr := keepa.DecodeEnvelope(a.Body)
	var cut *Error
	if errors.As(a.Part, &cut) && cut.damaged {
		env, decodeErr = keepa.Envelope{}, a.Part // damaged in transit: its numbers are not trusted
	}
	if decodeErr == nil || env.Payload && env.Charged { // the account's numbers are complete
		a.Envelope, a.Reading = env, reading(env)
		a.Consumed, a.ConsumedKnown = env.TokensConsumed, env.Charged
	}
	e := &Error{Request: a.Request, Status: a.HTTPStatus, Reading: a.Reading, Consumed: a.Consumed, Body: a.Body}
	page, isPage := htmlPage(a.Body, head)
	switch {
	case env.Error != nil:
		e.Detail = env.Error.Error()
	case a.HTTPStatus/100 == 3:
		e.Detail, isPage = elsewhere(head), false
	case isPage:
		e.Detail = page
	}
	switch s := a.HTTPStatus; {
	case s == http.StatusPaymentRequired:
		e.Kind = Payment
	case isPage && s < 500, s == http.StatusProxyAuthRequired:
		e.Kind = Proxy
	case s == http.StatusTooManyRequests && decodeErr == nil && a.Reading != nil && a.Reading.Left > 0:
		e.Kind = Refused
	case s == http.StatusTooManyRequests:
		e.Kind = InDebt
	case s == http.StatusBadRequest && decodeErr == nil && !env.Authoritative() && env.TokenFlowReduction == 0:
		e.Kind = BadKey
	case s >= 500:
		e.Kind = Server
	case s >= 400:
		e.Kind = Rejected
	case s != http.StatusOK:
		e.Kind = Unexpected
	case decodeErr != nil && env.Payload && env.Error == nil:
		if a.Part == nil {
			a.Part = fmt.Errorf("the answer breaks off: %w", decodeErr)
		}
		return a, nil
	case cut != nil:
		e.Kind, e.Detail = cut.Kind, cut.Detail
	case decodeErr != nil:
		e.Kind, e.Detail = Malformed, decodeErr.Error()
	case env.Error != nil:
		e.Kind = Rejected
	default:
		return a, nil
	}
	return a, e
}

// reading returns the balance in the envelope; nil without one.
func reading(e keepa.Envelope) *pipeline.Reading {
	left, known := e.Balance()
	if !known || !e.Authoritative() || e.RefillRate < 0 {
		return nil
	}
	return &pipeline.Reading{
		TS: e.Timestamp, Left: left, Rate: e.RefillRate, RefillInMS: int64(e.RefillIn),
		TookMS: int64(e.ProcessingTimeInMs), FlowRed: e.TokenFlowReduction,
	}
}
