package odd_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline/spend/gateway"
	"ratchet/test/odd"
)

// answer is one way in which a whole answer over HTTP is not what Keepa sends.
type answer struct {
	name string
	// word is what people read while it lasts.
	word gateway.ErrorKind
	// free and charged say whether Keepa may have executed the call: it is tried both ways.
	free, charged bool
	// bytes says that some of the body arrives, which is then stored.
	bytes bool
	write func(w http.ResponseWriter, r *http.Request, good []byte)
}

// says answers with a status, a type and a body, whatever Keepa said.
func says(status int, kind, body string) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the caller may have gone
	}
}

// account answers with a status and what Keepa says of the account, edited.
func account(status int, edits ...odd.Edit) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, good []byte) {
		for _, e := range edits {
			good = e(good)
		}
		w.WriteHeader(status)
		_, _ = w.Write(good) // the caller may have gone
	}
}

const (
	textHTML   = "text/html; charset=UTF-8"
	textJSON   = "application/json;charset=UTF-8"
	login      = "<!DOCTYPE html>\n<html><head><title>Sign in to the Wi-Fi</title></head><body>…</body></html>"
	badGateway = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>"
)

// reason is Keepa's word of what is wrong with a request.
var reason = odd.Set(`{"type":"invalidParameter","message":"You used an invalid parameter for this API call.","details":""}`, "error")

// nothing is the account of a key that Keepa does not know: zeroes.
func nothing(good []byte) []byte {
	for _, field := range []string{"tokensLeft", "refillIn", "refillRate", "tokenFlowReduction", "tokensConsumed", "processingTimeInMs"} {
		good = odd.Set("0", field)(good)
	}
	return reason(good)
}

// redirect leads to a place; the empty one is where the call came from.
func redirect(to string) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, r *http.Request, _ []byte) {
		place := to
		if place == "" {
			place = "http://" + r.Host + r.URL.String()
		}
		w.Header().Set("Location", place)
		w.WriteHeader(http.StatusFound)
	}
}

// accountFirst is an answer with its account before its payload, as Keepa may send it; last has it behind.
func accountFirst(good []byte) []byte {
	var m map[string]json.RawMessage
	if json.Unmarshal(good, &m) != nil {
		return good
	}
	payload := map[string]json.RawMessage{}
	for _, key := range []string{"deals", "products", "sellers"} {
		if raw, ok := m[key]; ok {
			payload[key] = raw
			delete(m, key)
		}
	}
	if len(payload) == 0 {
		return good
	}
	head, tail := odd.Object(m), odd.Object(payload)
	return append(append(head[:len(head)-1], ','), tail[1:]...)
}

// cut announces a body and breaks off within the payload, behind the account or before it.
func cut(edit odd.Edit) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, good []byte) {
		body := edit(good)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)*2/3])
		panic(http.ErrAbortHandler)
	}
}

// unfinished announces more than it sends and closes the connection in peace.
func unfinished(w http.ResponseWriter, _ *http.Request, good []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(good)+1000))
	_, _ = w.Write(good[:len(good)/2])
}

func zipped(good []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(good) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

// gzipOf answers with gzip that was damaged on its way.
func gzipOf(damage func(packed []byte) []byte) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, good []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(damage(zipped(good)))
	}
}

// flipped has bytes of its middle turned over.
func flipped(packed []byte) []byte {
	for i := len(packed) / 2; i < len(packed)/2+8; i++ {
		packed[i] ^= 0xff
	}
	return packed
}

// endless never stops sending blanks, which JSON allows.
func endless(w http.ResponseWriter, r *http.Request, _ []byte) {
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for r.Context().Err() == nil {
		if _, err := w.Write(blanks); err != nil {
			return
		}
	}
}

// slow sends one byte after the other, until the caller has gone.
func slow(w http.ResponseWriter, r *http.Request, good []byte) {
	flush := http.NewResponseController(w)
	for i := 0; r.Context().Err() == nil; i++ {
		if _, err := w.Write(good[i%len(good) : i%len(good)+1]); err != nil || flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// hang says nothing until the caller has gone.
func hang(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() }

// ofHTTP are whole answers that are not Keepa's.
var ofHTTP = []answer{
	{"400 with a reason", gateway.Rejected, true, false, true, account(400, reason)},
	{"400 with zeroes", gateway.BadKey, true, false, true, account(400, nothing)},
	{"402 bare", gateway.Payment, true, false, false, says(402, textJSON, "")},
	{"402 with HTML", gateway.Payment, true, false, true, says(402, textHTML, login)},
	{"403 with JSON", gateway.Rejected, true, false, true, account(403, reason)},
	{"403 with HTML", gateway.Proxy, true, true, true, says(403, textHTML, login)},
	{"404 bare", gateway.Rejected, true, false, false, says(404, textJSON, "")},
	{"404 with HTML", gateway.Proxy, true, true, true, says(404, textHTML, login)},
	{"405", gateway.Rejected, true, false, true, account(405, reason)},
	{"407", gateway.Proxy, true, false, false, says(407, "text/plain", "")},
	{"429 in debt", gateway.InDebt, true, false, true, account(429, odd.Set("-7", "tokensLeft"))},
	{"429 at nothing", gateway.InDebt, true, false, true, account(429, odd.Set("0", "tokensLeft"))},
	{"429 with a balance", gateway.Refused, true, false, true, account(429)},
	{"429 bare", gateway.InDebt, true, false, false, says(429, textJSON, "")},
	{"429 with HTML", gateway.Proxy, true, true, true, says(429, textHTML, login)},
	{"500 with an account", gateway.Server, true, false, true, account(500)},
	{"500 bare", gateway.Server, true, true, false, says(500, textJSON, "")},
	{"502 with HTML", gateway.Server, true, true, true, says(502, textHTML, badGateway)},
	{"503 with text", gateway.Server, true, true, true, says(503, "text/plain", "upstream connect error")},
	{"521 with HTML", gateway.Server, true, true, true, says(521, textHTML, "<!DOCTYPE html><title>keepa.com | 521: Web server is down</title>")},
	{"522 bare", gateway.Server, true, true, false, says(522, textHTML, "")},
	{"204", gateway.Unexpected, true, true, false, func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(204) }},
	{"302 elsewhere", gateway.Unexpected, true, true, false, redirect("https://login.example.org/portal")},
	{"302 to itself", gateway.Unexpected, true, true, false, redirect("")},
	{"302 with HTML", gateway.Unexpected, true, true, true, says(302, textHTML, login)},
	{"200 with HTML", gateway.Proxy, true, true, true, says(200, textHTML, login)},
	{"200 with HTML called JSON", gateway.Proxy, true, true, true, says(200, textJSON, "\ufeff\n <html><h1>Access denied</h1></html>")},
	{"200 empty", gateway.Malformed, true, true, false, says(200, textJSON, "")},
	{"200 null", gateway.Malformed, true, true, true, says(200, textJSON, "null")},
	{"200 a list", gateway.Malformed, true, true, true, says(200, textJSON, "[]")},
	{"200 a text", gateway.Malformed, true, true, true, says(200, textJSON, `"service unavailable"`)},
	{"200 a number", gateway.Malformed, true, true, true, says(200, textJSON, "17")},
	{"200 plain text", gateway.Malformed, true, true, true, says(200, "text/plain", "no healthy upstream")},
	{"the connection breaks before a byte", gateway.Cut, true, true, false, func(http.ResponseWriter, *http.Request, []byte) { panic(http.ErrAbortHandler) }},
	{"shorter than announced", gateway.Cut, true, true, true, unfinished},
	{"cut before the account", gateway.Cut, false, true, true, cut(func(good []byte) []byte { return good })},
	{"cut behind the account", "", false, true, true, cut(accountFirst)},
	{"gzip that breaks off", gateway.Cut, true, true, false, gzipOf(func(p []byte) []byte { return p[:len(p)/2] })},
	{"gzip with turned bytes", gateway.Malformed, true, true, false, gzipOf(flipped)},
	{"gzip without gzip in it", gateway.Malformed, true, true, false, gzipOf(func([]byte) []byte { return []byte("\x1f\x8bnothing of the kind") })},
	{"no answer", gateway.Timeout, true, true, false, hang},
	{"a byte at a time", gateway.Timeout, true, true, true, slow},
}

// anEndlessOne is apart: it takes a machine's whole attention.
var anEndlessOne = answer{"an endless body", gateway.Malformed, true, true, false, endless}

// told reports whether a text has the word of the answer behind another.
func (a answer) told(text, before string) bool {
	if a.name == "an endless body" && strings.Contains(text, before+string(gateway.Timeout)) {
		return true // on a slow machine it is cut off by the clock first
	}
	return strings.Contains(text, before+string(a.word))
}

func (a answer) reply(charged bool) odd.Reply { return odd.Reply{Charged: charged, Write: a.write} }
