package gateway

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"ratchet/pipeline"
)

// ErrorKind classifies the failure of a call.
type ErrorKind string

// The kinds of errors.
const (
	InDebt     ErrorKind = "refused_in_debt" // 429 without tokens left: wait for the refill
	Refused    ErrorKind = "refused"         // 429 although the balance is positive
	Server     ErrorKind = "server"          // 5xx
	Timeout    ErrorKind = "timeout"         // no answer in time: it may have cost tokens
	Cut        ErrorKind = "cut"             // the connection broke: it may have cost tokens
	Unreached  ErrorKind = "unreached"       // no connection was established: it cost nothing
	Malformed  ErrorKind = "malformed"       // an answer that is not JSON: it may have cost tokens
	Proxy      ErrorKind = "proxy"           // an HTML page: something between here and Keepa answered
	Rejected   ErrorKind = "rejected"        // Keepa reports an invalid request
	BadKey     ErrorKind = "bad_key"         // Keepa rejects the key
	Payment    ErrorKind = "payment"         // 402: the subscription has ended
	Unexpected ErrorKind = "unexpected"      // an undocumented status
	NoIncome   ErrorKind = "no_income"       // the plan yields no tokens
	TooLate    ErrorKind = "too_late"        // the claim was too old to start the call
)

// Error is a call without a usable answer. It contains no URL and no key.
type Error struct {
	Kind     ErrorKind
	Request  string            // path and query without the key
	Status   int               // HTTP; 0 without an answer
	Detail   string            // for people; names no URL and no key
	Reading  *pipeline.Reading // the balance, if the answer contained it
	Consumed int               // tokens, if the answer contained the cost
	Body     []byte            // what arrived, whatever its status: it may have been paid for
	damaged  bool              // in transit: its numbers are not trusted
}

func (e *Error) Error() string {
	endpoint, _, _ := strings.Cut(e.Request, "?")
	out := fmt.Sprintf("keepa %s: %s", endpoint, e.Kind)
	if e.Status != 0 {
		out += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Detail != "" {
		out += ": " + e.Detail
	}
	switch e.Kind {
	case BadKey:
		out += "; set the right KEEPA_API_KEY"
	case Payment:
		out += "; renew the subscription at Keepa"
	case Proxy:
		out += "; check the proxy, firewall or login page between here and Keepa"
	case InDebt, Refused, Server, Timeout, Cut, Unreached, Malformed, Rejected, Unexpected, NoIncome, TooLate:
	}
	return out
}

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case Rejected, BadKey, Payment:
		return false
	case InDebt, Refused, Server, Timeout, Cut, Unreached, Malformed, Proxy, Unexpected, NoIncome, TooLate:
		return true
	}
	return true
}

// MayHaveCost reports whether the call may have cost tokens although no answer reported it.
func (e *Error) MayHaveCost() bool {
	switch e.Kind {
	case Timeout, Cut:
		return true
	case Malformed, Proxy, Server, Unexpected:
		return e.Reading == nil
	case InDebt, Refused, Unreached, Rejected, BadKey, Payment, NoIncome, TooLate:
		return false
	}
	return true
}

// transport classifies an error below HTTP and drops the URL that it contains.
func transport(request string, err error) *Error {
	e := &Error{Kind: Cut, Request: request}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	var op *net.OpError
	var broken flate.CorruptInputError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		e.Kind, e.Detail = Timeout, "no answer in time"
	case errors.Is(err, context.Canceled):
		e.Kind, e.Detail = Cut, "stopped while waiting for the answer"
	case errors.As(err, &op) && op.Op == "dial":
		e.Kind, e.Detail = Unreached, "no connection: "+op.Err.Error()
	case errors.Is(err, errTooLarge), errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &broken):
		e.Kind, e.Detail = Malformed, err.Error()
	default:
		e.Detail = "the connection broke"
	}
	return e
}
