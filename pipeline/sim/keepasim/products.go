package keepasim

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// marked returns a product with a flag that it is simulated, so that
// everything made of it, now or from the stored answer, can show it.
func marked(product []byte) []byte {
	return append([]byte(`{"simulated":true,`), product[1:]...)
}

// products is the /product endpoint.
func (s *Sim) products(r *http.Request, c call) result {
	q, asins, e := parseQuestion(r.Form)
	if e != nil {
		return result{status: e.status, err: e}
	}
	now := minute(c.arrived)
	var body bytes.Buffer
	body.WriteString(`"products":[`)
	res := result{items: len(asins)}
	var all []asked
	refreshed := map[string]int64{}
	for i, asin := range asins {
		p, ok := s.o.Catalogue.find(asin, c.arrived)
		if c.fault.Do == Missing && i%2 == 1 {
			continue
		}
		if !ok {
			all = append(all, asked{asin: asin})
			if !wellFormed(asin) || q.hasUpdate && q.update < 0 {
				continue // Keepa does not look it up, and leaves it out
			}
			p = unknownProduct(asin)
		}
		each, cost, fresh := s.price(q, p, asin, now, c)
		res.cost += cost
		if fresh {
			refreshed[asin] = now
		}
		if ok {
			all = append(all, asked{asin, p.creation(), p.synthetic()})
		}
		if body.Bytes()[body.Len()-1] != '[' {
			body.WriteByte(',')
		}
		body.Write(s.odd(oddProducts, fmt.Sprint(asin, p.creation()), s.cache.body(bodyKey{asin, each}, func() []byte { return marked(p.encode(each)) })))
	}
	body.WriteByte(']')
	res.payload = body.Bytes()
	res.took = s.productLatency(q, len(asins))
	res.done = func() { s.count(c, all, refreshed) }
	return res
}

// asked is a product of a request, for the books.
type asked struct {
	asin     string
	creation int64
	made     bool
}

// count enters an executed request for products in the books; the caller holds the lock.
func (s *Sim) count(c call, all []asked, refreshed map[string]int64) {
	for asin, at := range refreshed {
		s.offersAt[asin] = at
	}
	for _, a := range all {
		q := Question{Kind: c.kind, ASIN: a.asin, Creation: a.creation}
		s.account.Questions[q]++
		if c.fault.Do.withholds() {
			s.account.Withheld[q]++
		}
		if c.kind == KindPeek {
			s.account.Peeks[a.asin]++
		} else {
			s.account.Commits[a.asin]++
		}
		if a.made {
			s.made[a.asin] = true
		}
	}
}

func (s *Sim) productLatency(q question, n int) time.Duration {
	if q.offers == 0 {
		return s.span(5*time.Millisecond, 30*time.Millisecond) * time.Duration(1+n/10)
	}
	each := 1
	if q.stock {
		each = 2
	}
	return s.span(2*time.Second, 5*time.Second)*time.Duration(each) + time.Duration(n)*200*time.Millisecond
}

// price returns the price of one product, the question with its
// instants filled in, and whether its offers were refreshed.
func (s *Sim) price(q question, p product, asin string, now int64, c call) (question, int, bool) {
	q.at = max(now-now%60, p.creation()) // a product is refreshed at most once an hour unless requested
	options := 0
	if q.rating {
		options++
	}
	if q.offers == 0 {
		if q.buybox {
			options += 2
		}
		if q.hasUpdate && q.update == 0 {
			q.at = now
			options++
		}
		return q, 1 + options, false
	}
	q.at, q.offersAt = now, now
	s.mu.Lock()
	last, known := s.offersAt[asin]
	s.mu.Unlock()
	switch {
	case c.fault.Do == Stale:
		q.stale, q.offersAt = true, now-3*24*60
		return q, 1 + options, false
	case q.hasUpdate && q.update > 0 && known && now-last < int64(q.update)*60:
		q.offersAt = last
		return q, 5, false
	}
	pages := min(q.offers/offersPerPage, max(1, (p.found()+offersPerPage-1)/offersPerPage))
	cost := tokensPerPage*pages + p.surcharge()
	if q.stock && p.surcharge() == 0 {
		cost += 2
	}
	return q, cost, true
}

// parseQuestion reads the parameters. Unknown ones are ignored, as by Keepa.
func parseQuestion(f url.Values) (question, []string, *apiError) {
	bad := func() (question, []string, *apiError) {
		return question{}, nil, invalid(http.StatusBadRequest, "You used an invalid parameter for this API call.", text(""))
	}
	domain, err := strconv.Atoi(f.Get("domain"))
	if err != nil || domain < 1 || domain > 12 || domain == 7 {
		return bad()
	}
	asins := namesIn(f.Get("asin"))
	if len(asins) == 0 || len(asins) > maxIDs {
		return bad()
	}
	flag := func(name string) bool { return f.Get(name) == "1" }
	q := question{
		domain: domain, onlyLive: flag("only-live-offers"), history: f.Get("history") != "0",
		rating: flag("rating"), buybox: flag("buybox"), stock: flag("stock"),
	}
	if f.Has("offers") {
		n, err := strconv.Atoi(f.Get("offers"))
		if err != nil || n < minOffers || n > maxOffers {
			return q, nil, invalid(http.StatusOK, "Either no or a minimum of 20 offers must be requested.", nil)
		}
		q.offers = n
	}
	for name, into := range map[string]*int{"days": &q.days, "update": &q.update} {
		if !f.Has(name) {
			continue
		}
		n, err := strconv.Atoi(f.Get(name))
		if err != nil {
			return bad()
		}
		*into = n
	}
	q.hasUpdate = f.Has("update")
	if f.Has("stats") && !q.setStats(f.Get("stats")) {
		return bad()
	}
	return q, asins, nil
}

// namesIn returns the names in a list with commas.
func namesIn(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// setStats reads a number of days or two dates.
func (q *question) setStats(v string) bool {
	from, to, two := strings.Cut(v, ",")
	if !two {
		n, err := strconv.Atoi(v)
		q.stats = n
		return err == nil && n > 0
	}
	var ok1, ok2 bool
	q.statsFrom, ok1 = parseDate(from)
	q.statsTo, ok2 = parseDate(to)
	q.stats = 1
	return ok1 && ok2
}

func parseDate(v string) (time.Time, bool) {
	if ms, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// sellers is the /seller endpoint: a token for each seller that is known.
func (s *Sim) sellers(r *http.Request, c call) result {
	ids := namesIn(r.Form.Get("seller"))
	if len(ids) == 0 || len(ids) > maxIDs {
		e := invalid(http.StatusBadRequest, "You used an invalid parameter for this API call.", text(""))
		return result{status: http.StatusBadRequest, err: e}
	}
	var b bytes.Buffer
	b.WriteString(`"sellers":{`)
	n := 0
	for _, id := range ids {
		body := encodeSeller(id, c.arrived)
		if body == nil {
			continue
		}
		if n > 0 {
			b.WriteByte(',')
		}
		n++
		b.Write(mustJSON(id))
		b.WriteByte(':')
		b.Write(s.odd(oddSellers, id, body))
	}
	b.WriteByte('}')
	return result{cost: n, items: len(ids), payload: b.Bytes(), took: s.span(20*time.Millisecond, 200*time.Millisecond)}
}
