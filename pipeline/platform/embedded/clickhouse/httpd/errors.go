package httpd

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// ClickHouse's codes for what is rejected here and not by the engine.
const (
	unsupported      = 1
	badArguments     = 36
	tooLong          = 62
	unknownSetting   = 115
	readonly         = 164
	tooManyQueries   = 202
	networkError     = 210
	sameQueryID      = 216
	noSpace          = 243
	cannotDecompress = 271
	sessionNotFound  = 372
	sessionLocked    = 373
	authFailed       = 516
	shuttingDown     = 394
)

var codeNames = map[int]string{
	unsupported: "UNSUPPORTED_METHOD", tooLong: "SYNTAX_ERROR", badArguments: "BAD_ARGUMENTS", unknownSetting: "UNKNOWN_SETTING", readonly: "READONLY",
	tooManyQueries: "TOO_MANY_SIMULTANEOUS_QUERIES", networkError: "NETWORK_ERROR",
	sameQueryID: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", noSpace: "NOT_ENOUGH_SPACE", cannotDecompress: "CANNOT_DECOMPRESS",
	sessionNotFound: "SESSION_NOT_FOUND", sessionLocked: "SESSION_IS_LOCKED", authFailed: "AUTHENTICATION_FAILED",
	shuttingDown: "QUERY_WAS_CANCELLED",
}

// refuse returns an error in ClickHouse's format.
func refuse(code int, format string, args ...any) error {
	return &engine.Error{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code])}
}

// statuses are the codes that a server answers with another status than 500.
var statuses = map[int]int{
	6: 400, 26: 400, 27: 400, 33: 400, 36: 400, 38: 400, 41: 400, 53: 400, 62: 400, 70: 400, 72: 400, 117: 400, 131: 400, 69: 400,
	210: 400, 271: 400, 372: 404, 373: 400,
	46: 404, 47: 404, 50: 404, 56: 404, 60: 404, 73: 404, 81: 404, 115: 404,
	159: 408, 164: 400, 192: 403, 193: 403, 194: 401, 497: 403, 516: 403, 202: 503, 439: 503, 394: 500,
}

// fail answers with an exception. It requires that no part of an answer was sent.
func fail(w http.ResponseWriter, err error) {
	code := 0 // ClickHouse has no code for it
	if e, ok := errors.AsType[*engine.Error](err); ok {
		code = e.Code
	}
	status := http.StatusInternalServerError
	if s, ok := statuses[code]; ok {
		status = s
	}
	h := w.Header()
	if code == authFailed {
		access.Leave(w)
	}
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Del("Content-Encoding")
	h.Del("X-ClickHouse-Exception-Tag")
	if code != 0 {
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	}
	w.WriteHeader(status)
	fmt.Fprintln(w, strings.TrimRight(err.Error(), "\n"))
}

// tagged formats an exception in the middle of an answer, framed so that a client can distinguish it from data.
func tagged(err error, tag string) string {
	text := strings.TrimRight(err.Error(), "\n")
	return fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", tag, text, len(text)+1, tag)
}
