// Package odd is a Keepa that answers as strangely as a test wants: any shape, for any
// endpoint, at any place of a batch. What it charges is what the simulated Keepa behind it
// charges, and it keeps the books of every call.
package odd

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Edit makes an odd element of a good one; nil leaves it out. Elements need not be JSON.
type Edit func(good []byte) (odd []byte)

// Call is one call as it was answered.
type Call struct {
	Path   string
	Offers bool
	Keys   []string // ASINs or sellers that were asked for; the page of a list
	Tokens int
}

// Keepa is the odd one.
type Keepa struct {
	URL string

	sim   http.Handler
	mu    sync.Mutex
	edits map[string]Edit // by kind and key
	rows  [][]byte        // of the list, in order; nil: as it is
	wrap  map[string]wrap // of the whole answer, by kind and key
	calls []Call
	reply map[string]reply  // in the place of the answer, by kind and key
	then  map[string]func() // what happens when Keepa has charged a call, by kind and key
}

// Reply is a whole answer over HTTP that is not what Keepa sends.
type Reply struct {
	// Charged reports that Keepa executed and charged the call, and that its answer was lost on the way.
	Charged bool
	// Write answers: good is Keepa's answer; of the account alone if Keepa did not execute the call.
	Write func(w http.ResponseWriter, r *http.Request, good []byte)
}

// reply is a Reply, so many times.
type reply struct {
	Reply
	times int
}

// wrap edits a whole answer, so many times.
type wrap struct {
	edit  Edit
	times int
}

// The kinds of what is edited.
const (
	Row    = "row"
	Peek   = "peek"
	Commit = "commit"
	Seller = "seller"
	Token  = "token"
)

// Serve is an odd Keepa before a good one, until the test ends.
func Serve(t testing.TB, sim http.Handler) *Keepa {
	t.Helper()
	k := &Keepa{sim: sim, edits: map[string]Edit{}, wrap: map[string]wrap{}, reply: map[string]reply{}, then: map[string]func(){}}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	k.URL = server.URL
	return k
}

// Edit makes the element of a key odd, whenever a call of a kind asks for it.
func (k *Keepa) Edit(kind, key string, e Edit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.edits[kind+" "+key] = e
}

// Wrap makes the next answers odd, as a whole, that a call of a kind gets in which the key is asked for.
func (k *Keepa) Wrap(kind, key string, times int, e Edit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrap[kind+" "+key] = wrap{e, times}
}

// List makes the deal list one page of these rows.
func (k *Keepa) List(rows [][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows = rows
}

// Reply answers the next calls of a kind in which the key is asked for in another way. No times lifts it.
func (k *Keepa) Reply(kind, key string, times int, r Reply) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reply[kind+" "+key] = reply{r, times}
}

// Answered calls f whenever Keepa has charged a call of a kind in which the key is asked for; no byte of the answer is
// sent before f returns.
func (k *Keepa) Answered(kind, key string, f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.then[kind+" "+key] = f
}

// charged does what a test wants done when a call was charged.
func (k *Keepa) charged(c Call) {
	for _, key := range c.Keys {
		k.mu.Lock()
		f := k.then[c.Kind()+" "+key]
		k.mu.Unlock()
		if f != nil {
			f()
		}
	}
}

// replying is the reply that a call gets in the place of its answer, if any.
func (k *Keepa) replying(c Call) (Reply, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range c.Keys {
		if r := k.reply[c.Kind()+" "+key]; r.times > 0 {
			k.reply[c.Kind()+" "+key] = reply{r.Reply, r.times - 1}
			return r.Reply, true
		}
	}
	return Reply{}, false
}

// Calls are all calls that were answered, in their order.
func (k *Keepa) Calls() []Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.calls)
}

// Paid is how many calls of a kind that cost something asked for a key.
func (k *Keepa) Paid(kind, key string) int {
	n := 0
	for _, c := range k.Calls() {
		if c.Kind() == kind && c.Tokens > 0 && slices.Contains(c.Keys, key) {
			n++
		}
	}
	return n
}

// Tokens is what all calls cost.
func (k *Keepa) Tokens() int {
	n := 0
	for _, c := range k.Calls() {
		n += c.Tokens
	}
	return n
}

// Kind is what the call asks for.
func (c Call) Kind() string {
	switch {
	case c.Path == "/deal":
		return Row
	case c.Path == "/seller":
		return Seller
	case c.Path == "/token":
		return Token
	case c.Offers:
		return Commit
	}
	return Peek
}

// ServeHTTP asks the good Keepa and makes its answer odd.
func (k *Keepa) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call(r)
	odd, isOdd := k.replying(c)
	if isOdd && !odd.Charged {
		k.note(c)
		odd.Write(w, r, k.account(r))
		return
	}
	code, body := k.ask(r)
	envelope := map[string]json.RawMessage{}
	if json.Unmarshal(body, &envelope) == nil && c.Kind() != Token {
		_ = json.Unmarshal(envelope["tokensConsumed"], &c.Tokens) // the simulated Keepa sends a number
		body = k.answer(c, envelope)
		k.charged(c)
	}
	if isOdd {
		odd.Write(w, r, body)
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // the caller may have gone
}

// ask returns the answer of the good Keepa.
func (k *Keepa) ask(r *http.Request) (code int, body []byte) {
	r.Header.Del("Accept-Encoding")
	said := httptest.NewRecorder()
	k.sim.ServeHTTP(said, r)
	return said.Code, said.Body.Bytes()
}

// account returns what the good Keepa reports of the account, for no token.
func (k *Keepa) account(r *http.Request) []byte {
	free := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/token?"+url.Values{"key": {r.URL.Query().Get("key")}}.Encode(), nil)
	_, body := k.ask(free)
	return body
}

// note writes a call into the books that the good Keepa never saw.
func (k *Keepa) note(c Call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, c)
}

func call(r *http.Request) Call {
	q := r.URL.Query()
	c := Call{Path: r.URL.Path, Offers: q.Has("offers")}
	switch c.Path {
	case "/deal":
		c.Keys = []string{"list"}
	case "/token":
		c.Keys = []string{"token"}
	case "/seller":
		c.Keys = strings.Split(q.Get("seller"), ",")
	default:
		c.Keys = strings.Split(q.Get("asin"), ",")
	}
	return c
}

// answer is the odd answer to a call, which is written into the books.
func (k *Keepa) answer(c Call, envelope map[string]json.RawMessage) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, c)
	switch c.Kind() {
	case Row:
		k.list(envelope)
	case Seller:
		k.sellers(envelope)
	default:
		k.products(c.Kind(), envelope)
	}
	out := Object(envelope)
	for _, key := range c.Keys {
		if w := k.wrap[c.Kind()+" "+key]; w.times > 0 {
			k.wrap[c.Kind()+" "+key] = wrap{w.edit, w.times - 1}
			out = w.edit(out)
		}
	}
	return out
}

func (k *Keepa) list(envelope map[string]json.RawMessage) {
	var deals map[string]json.RawMessage
	var rows []json.RawMessage
	if json.Unmarshal(envelope["deals"], &deals) != nil || json.Unmarshal(deals["dr"], &rows) != nil {
		return
	}
	if k.rows == nil {
		deals["dr"] = editAll(k, Row, rows)
	} else {
		deals["dr"] = editAll(k, Row, k.rows)
		deals["categoryIds"], deals["categoryCount"] = json.RawMessage("[283155]"), json.RawMessage(fmt.Sprintf("[%d]", len(k.rows)))
	}
	envelope["deals"] = Object(deals)
}

func (k *Keepa) products(kind string, envelope map[string]json.RawMessage) {
	var products []json.RawMessage
	if json.Unmarshal(envelope["products"], &products) == nil {
		envelope["products"] = editAll(k, kind, products)
	}
}

func (k *Keepa) sellers(envelope map[string]json.RawMessage) {
	var sellers map[string]json.RawMessage
	if json.Unmarshal(envelope["sellers"], &sellers) != nil {
		return
	}
	for id, s := range sellers {
		if sellers[id] = k.edited(Seller, id, s); sellers[id] == nil {
			delete(sellers, id)
		}
	}
	envelope["sellers"] = Object(sellers)
}

// editAll is the array of elements, without those that an edit leaves out.
func editAll[E ~[]byte](k *Keepa, kind string, all []E) []byte {
	var out [][]byte
	for _, e := range all {
		if odd := k.edited(kind, name(e), e); odd != nil {
			out = append(out, odd)
		}
	}
	return Array(out)
}

func (k *Keepa) edited(kind, key string, good []byte) []byte {
	if edit := k.edits[kind+" "+key]; edit != nil {
		return edit(good)
	}
	return good
}

func name(raw []byte) string {
	var v struct {
		ASIN string `json:"asin"`
	}
	_ = json.Unmarshal(raw, &v) // the simulated Keepa names everything
	return v.ASIN
}

// Object writes an object whose values need not be JSON, its keys in their order.
func Object(m map[string]json.RawMessage) []byte {
	out := []byte{'{'}
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(key) //nolint:errchkjson // a string
		out = append(append(append(out, name...), ':'), m[key]...)
	}
	return append(out, '}')
}

// Array writes an array whose elements need not be JSON.
func Array(elements [][]byte) []byte {
	out := []byte{'['}
	for i, e := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}

// Set is the edit that puts a value at a path of keys, raw.
func Set(value string, path ...string) Edit {
	return at(path, func(m map[string]json.RawMessage, key string) { m[key] = json.RawMessage(value) })
}

// Drop is the edit that removes a key.
func Drop(path ...string) Edit {
	return at(path, func(m map[string]json.RawMessage, key string) { delete(m, key) })
}

// at is the edit of the object that holds the last key of a path.
func at(path []string, change func(m map[string]json.RawMessage, key string)) Edit {
	return func(good []byte) []byte {
		var m map[string]json.RawMessage
		if json.Unmarshal(good, &m) != nil || m == nil {
			return good
		}
		if len(path) > 1 {
			m[path[0]] = at(path[1:], change)(m[path[0]])
		} else {
			change(m, path[0])
		}
		return Object(m)
	}
}

// Whole is the edit that puts something else in the place of all of it.
func Whole(value string) Edit { return func([]byte) []byte { return []byte(value) } }

// Each is the edit of every element of an array at a path.
func Each(path string, e Edit) Edit {
	return func(good []byte) []byte {
		var m map[string]json.RawMessage
		var all []json.RawMessage
		if json.Unmarshal(good, &m) != nil || json.Unmarshal(m[path], &all) != nil {
			return good
		}
		out := make([][]byte, len(all))
		for i, one := range all {
			out[i] = e(one)
		}
		m[path] = Array(out)
		return Object(m)
	}
}
