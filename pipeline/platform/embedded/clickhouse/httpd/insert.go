package httpd

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// work is a statement that is ready to run, and the files that it reads.
type work struct {
	text      string
	sql       string // as received, without data that is in a file
	values    string // of VALUES, as received
	literals  bool   // the values are not expressions
	insert    bool   // has data: cannot be streamed
	continues bool   // in a session that has a database already
	format    string
	verb      string
	tables    []table
	files     []string
}

// table is an external table in a request.
type table struct{ name, structure, format, file string }

func (t table) create() string {
	return "CREATE TEMPORARY TABLE " + name(t.name) + " (" + t.structure + ")"
}

// forget removes the files, which are not needed after the statement.
func (w *work) forget() {
	for _, f := range w.files {
		_ = os.Remove(f) // the directory is emptied at the next start in any case
	}
}

// headRead is how much of a body is read as text. The engine rejects a longer statement; longer data goes to a file.
const headRead = 1 << 20

// mostStatement is the maximum length of a statement, after its head.
const mostStatement = 64 << 20

// read reads the request's body to its end: the statement, and the data of an INSERT into a file.
func (s *Server) read(r *http.Request, q *request, end func() error) (*work, error) {
	w := &work{continues: q.session != ""}
	err := s.readInto(w, r, q)
	if err == nil {
		err = end()
	}
	if err != nil {
		w.forget()
		return nil, err
	}
	return w, nil
}

func (s *Server) readInto(w *work, r *http.Request, q *request) error {
	if kind, p, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		if err := s.readForm(w, q, multipart.NewReader(r.Body, p["boundary"])); err != nil {
			return err
		}
		return s.shape(w, q, strings.NewReader(""))
	}
	body, err := bodyOf(r, q.decompress)
	if err != nil {
		return err
	}
	return s.shape(w, q, body)
}

// shape separates query and body into text and data.
func (s *Server) shape(w *work, q *request, body io.Reader) error {
	head, err := io.ReadAll(io.LimitReader(body, headRead))
	if err != nil {
		return brokenBody(err)
	}
	whole := len(head) < headRead
	text := string(head)
	if q.query != "" && text != "" {
		text = q.query + "\n" + text
	} else if q.query != "" {
		text = q.query
	}
	st := understand(text)
	w.verb, w.format = st.verb, st.format
	if st.inserts && q.readsOnly() {
		return errInserts
	}
	if st.files {
		return refuse(unsupported, "INTO OUTFILE and FROM INFILE are for clients: a server does not touch files")
	}
	switch in := st.insert; {
	case in.kind == noData || in.kind == valuesData && whole:
		rest, err := io.ReadAll(io.LimitReader(body, mostStatement+1))
		if err != nil {
			return brokenBody(err)
		}
		if len(rest) > mostStatement {
			return refuse(tooLong, "The statement is longer than %d MiB", mostStatement>>20)
		}
		w.text = text + string(rest)
		if in.kind == valuesData {
			w.insert, w.values = true, text[in.data:]
			w.text = text[:in.data] + withoutEmptyLines(text[in.data:])
		}
		w.sql = w.text
		return nil
	default:
		format := st.format
		if in.kind == valuesData {
			format = "Values"
		}
		file, err := s.store(w, io.MultiReader(strings.NewReader(text[in.data:]), body))
		if err != nil {
			return err
		}
		w.insert, w.literals = true, in.kind == valuesData
		w.sql = text[:in.head] + " " + text[in.settings:in.format] + " FORMAT " + format
		w.text = text[:in.head] + infile(file) + text[in.settings:in.format] + " FORMAT " + format
		return nil
	}
}

func infile(path string) string { return " FROM INFILE " + quote(path) + " COMPRESSION 'none' " }

// readForm reads the external tables and fields of a form.
func (s *Server) readForm(w *work, q *request, form *multipart.Reader) error {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return brokenBody(err)
		}
		switch field := part.FormName(); {
		case field == "query", strings.HasPrefix(field, "param_"):
			value, err := io.ReadAll(io.LimitReader(part, mostStatement+1))
			if err != nil {
				return brokenBody(err)
			}
			if len(value) > mostStatement {
				return refuse(tooLong, "Field %s is longer than %d MiB", quote(field), mostStatement>>20)
			}
			if field == "query" {
				q.query += string(value)
				continue
			}
			q.params = append(q.params, engine.Param{Name: field[len("param_"):], Value: string(value)})
		default:
			t, err := s.external(w, q, part)
			if err != nil {
				return err
			}
			w.tables = append(w.tables, t)
		}
	}
}

func (s *Server) external(w *work, q *request, part *multipart.Part) (table, error) {
	t := table{name: part.FormName(), structure: q.tables.Get(part.FormName() + "_structure"), format: q.tables.Get(part.FormName() + "_format")}
	if t.structure == "" {
		var columns []string
		for i, kind := range strings.Split(q.tables.Get(t.name+"_types"), ",") {
			columns = append(columns, "_"+strconv.Itoa(i+1)+" "+kind)
		}
		t.structure = strings.Join(columns, ", ")
	}
	t.format = cmp.Or(t.format, "TabSeparated")
	if !settingName.MatchString(t.format) {
		return t, refuse(badArguments, "Format %s of external table %s is not a name", quote(t.format), quote(t.name))
	}
	var err error
	t.file, err = s.store(w, part)
	return t, err
}

// store writes a body to a temporary file.
func (s *Server) store(w *work, body io.Reader) (string, error) {
	f, err := os.CreateTemp(s.o.Temp, "body-")
	if err != nil {
		return "", brokenDisk(err)
	}
	w.files = append(w.files, f.Name())
	src := &source{r: body}
	_, err = io.Copy(f, src)
	if src.err != nil {
		err = brokenBody(src.err)
	} else if err != nil {
		err = brokenDisk(err)
	}
	if e := f.Close(); e != nil && err == nil {
		err = brokenDisk(e)
	}
	return f.Name(), err
}

// source records a read error, which would otherwise look like a disk error.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.err = err
	}
	return n, err
}

// brokenBody means that the data did not arrive completely: nothing was inserted.
func brokenBody(err error) error {
	return refuse(networkError, "Cannot read the request's body: %v", err)
}

// brokenDisk distinguishes a full disk from other faults: then a
// client waits and retries, and does not consider its data bad.
func brokenDisk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return refuse(noSpace, "Cannot keep the request's body: %v", err)
	}
	return refuse(networkError, "Cannot keep the request's body: %v", err)
}
