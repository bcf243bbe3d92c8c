package httpd

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// A request is the decoded URL and headers of one HTTP request.
type request struct {
	user, password string
	header         bool   // the user or the password was in a header of ClickHouse's
	query          string // from the URL; the body follows it
	database       string
	format         string // of answers without a FORMAT clause
	id             string // query_id; generated if empty
	session        string
	sessionTimeout string
	sessionCheck   bool
	revision       int    // of the Native blocks that the client expects
	agent          string // the User-Agent
	compress       bool
	decompress     bool
	gzip           bool
	wait           bool // send nothing until the statement has ended
	readonly       bool // a GET may only read
	params         []engine.Param
	settings       []setting
	tables         url.Values // NAME_structure, NAME_types and NAME_format of external tables
}

type setting struct{ name, value string }

// setting returns the value of a setting in the request, the last one of several; empty if there is none.
func (q *request) setting(name string) string {
	for _, s := range slices.Backward(q.settings) {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

// Inserts that wait in memory would be lost with the process, so
// these two have no effect: an INSERT is durable when it is answered.
var ignored = []string{"async_insert", "wait_for_async_insert"}

// transport are parameters for the server's HTTP side that need no action here.
var transport = []string{
	"quota_key", "stacktrace", "buffer_size", "add_http_cors_header", "role", "close_session",
	"http_native_compression_disable_checksumming_on_decompress",
}

// understandRequest decodes the parameters of the URL.
func understandRequest(r *http.Request) *request {
	q := &request{
		user: "default", format: r.Header.Get("X-ClickHouse-Format"),
		database: r.Header.Get("X-ClickHouse-Database"),
		agent:    r.Header.Get("User-Agent"),
		readonly: r.Method == http.MethodGet || r.Method == http.MethodHead,
		tables:   url.Values{},
	}
	q.format = cmp.Or(q.format, "TabSeparated")
	q.credentials(r)
	values := r.URL.Query()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		q.take(key, values.Get(key), r)
	}
	return q
}

// credentials are read from Basic authentication or ClickHouse's headers; those in the URL take precedence.
func (q *request) credentials(r *http.Request) {
	if user, password, ok := r.BasicAuth(); ok {
		q.user, q.password = user, password
	}
	if user := r.Header.Get("X-ClickHouse-User"); user != "" {
		q.user, q.header = user, true
	}
	if key := r.Header.Get("X-ClickHouse-Key"); key != "" {
		q.password, q.header = key, true
	}
}

func (q *request) take(key, value string, r *http.Request) {
	on := value == "1" || value == "true"
	switch {
	case key == "query":
		q.query = value
	case key == "user":
		q.user = value
	case key == "password":
		q.password = value
	case key == "database":
		if value != "" {
			q.database = value
		}
	case key == "default_format":
		if r.Header.Get("X-ClickHouse-Format") == "" && value != "" {
			q.format = value
		}
	case key == "query_id":
		q.id = value
	case key == "session_id":
		q.session = value
	case key == "session_timeout":
		q.sessionTimeout = value
	case key == "session_check":
		q.sessionCheck = on
	case key == "client_protocol_version":
		q.revision, _ = strconv.Atoi(value) // 0 if it is not a number
	case key == "compress":
		q.compress = on
	case key == "decompress":
		q.decompress = on
	case key == "wait_end_of_query":
		q.wait = on
	case key == "enable_http_compression":
		q.gzip = on && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	case strings.HasPrefix(key, "param_"):
		q.params = append(q.params, engine.Param{Name: key[len("param_"):], Value: value})
	case describesTable(key) && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/"):
		q.tables.Set(key, value)
	case slices.Contains(ignored, key), slices.Contains(transport, key):
	default:
		q.settings = append(q.settings, setting{name: key, value: value})
	}
}

func describesTable(key string) bool {
	return strings.HasSuffix(key, "_structure") || strings.HasSuffix(key, "_types") || strings.HasSuffix(key, "_format")
}

// readsOnly reports whether the request may change nothing.
func (q *request) readsOnly() bool {
	return q.readonly || slices.ContainsFunc(q.settings, func(s setting) bool { return s.name == "readonly" && s.value != "0" })
}

// errInserts is for what the engine would do in spite of readonly: INSERT INTO FUNCTION file(…) writes a file.
var errInserts = refuse(readonly, "Cannot execute query in readonly mode: it contains INSERT")

// marker is the setting that identifies a request's statement when it must be killed. The log comment, which is for
// people, may be changed by the statement's own text; this setting is for table engines that are not available here.
const marker = "stream_like_engine_insert_queue"

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// comment identifies the request's statements in system.processes.
func (q *request) comment() string {
	if own := q.setting("log_comment"); own != "" {
		return q.id + " " + own
	}
	return q.id
}

// assignments returns the SET statement of a request: its settings, between the defaults of every request and
// what the client may not choose. It is one statement, since nothing can be set after a readonly among them.
func (q *request) assignments() (string, error) {
	list := []string{"implicit_select = 0", "async_insert = 0"}
	for _, s := range q.settings {
		if !settingName.MatchString(s.name) {
			return "", refuse(unknownSetting, "Unknown setting %s", quote(s.name))
		}
		if s.name != "log_comment" && s.name != marker {
			list = append(list, name(s.name)+" = "+quote(s.value))
		}
	}
	list = append(list, "log_comment = "+quote(q.comment()), marker+" = "+quote(q.id))
	if q.readonly && q.session == "" {
		// A session would stay read-only: there the statement's first word decides.
		list = append(list, "readonly = 2")
	}
	return "SET " + strings.Join(list, ", "), nil
}
