package httpd

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// reads are the first words of the statements that a GET may run in a session.
var reads = []string{"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "SET", "USE", "CHECK", ""}

// run runs the statement and sends its answer. An error means that nothing was sent. aborted means that the answer
// was cut off, so that the engine session still holds the rest of it.
func (s *Server) run(w http.ResponseWriter, c *engine.Conn, q *request, job *work) (aborted bool, err error) {
	if q.readonly && q.session != "" && !slices.Contains(reads, job.verb) {
		return false, refuse(readonly, "Cannot execute query in readonly mode: use POST to change data")
	}
	a := s.newAnswer(w, q, job)
	defer a.forget()
	if strings.TrimSpace(job.text) == hello && q.revision > 0 {
		b, err := greet(c, q.revision)
		if err != nil {
			return false, err
		}
		q.revision = 0 // the block contains its info already
		return false, a.whole(b, engine.Counts{})
	}
	if !job.insert && inPieces(a.format) {
		stream, err := c.Stream(job.text, q.format, q.params)
		if err == nil {
			return s.stream(a, stream)
		}
		if !engine.NotStreamable(err) {
			return false, err
		}
	}
	b, n, err := c.Query(job.text, q.format, q.params)
	if err != nil {
		return false, err
	}
	return false, a.whole(b, n)
}

// piecewise are the formats in which an answer can be written piece by piece. The engine gives
// every piece the header and footer of an answer of its own, so a JSON document or a line of
// names would be repeated; answers in those formats are sent when the statement has ended.
var piecewise = []string{
	"native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "raw", "csv", "tskv", "rowbinary", "null", "lineasstring", "rawblob",
	"jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "jsonstringseachrow", "jsoncompactstringseachrow",
}

func inPieces(format string) bool { return slices.Contains(piecewise, strings.ToLower(format)) }

// stream sends the pieces as they arrive. The first one decides the status: a later error is sent inside the answer.
func (s *Server) stream(a *answer, stream *engine.Stream) (aborted bool, err error) {
	defer stream.Close()
	for {
		piece, err := stream.Next()
		switch {
		case err != nil && !a.begun:
			return true, err
		case err != nil:
			a.breakOff(err)
			return true, nil
		case piece == nil:
			return false, a.end(stream.Counts())
		}
		if err := a.write(piece); err != nil {
			return true, a.lost(err)
		}
	}
}

// An answer writes to the client.
type answer struct {
	w      http.ResponseWriter
	q      *request
	format string
	tag    string
	out    packer
	held   *os.File // the file behind wait_end_of_query
	temp   string
	info   []byte // precedes every Native block
	begun  bool   // something was sent
}

func (s *Server) newAnswer(w http.ResponseWriter, q *request, job *work) *answer {
	a := &answer{w: w, q: q, format: job.format, temp: s.o.Temp}
	a.format = cmp.Or(a.format, q.format)
	return a
}

// helloReader begins the User-Agent of the driver that reads blocks at
// the revision of our hello, which is 0, whatever revision it announces.
const helloReader = "clickhouse-go/"

// infoFor returns what the client expects before every Native block. Above the last
// revision handled here columns are encoded differently too, and only the hello is recoded.
func infoFor(q *request, format string) []byte {
	if !strings.EqualFold(format, "Native") || q.revision >= customSerialization || strings.Contains(q.agent, helloReader) {
		return nil
	}
	return blockInfo(nil, q.revision)
}

// open sends the headers, at the first write.
func (a *answer) open(n *engine.Counts) {
	if a.out != nil {
		return
	}
	h := a.w.Header()
	h.Set("X-ClickHouse-Format", a.format)
	h.Set("Content-Type", contentType(a.format))
	if n != nil {
		h.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d"}`,
			n.RowsRead, n.BytesRead, n.RowsWritten, n.BytesWritten))
	}
	var tag [8]byte
	_, _ = rand.Read(tag[:]) // never fails
	a.tag = hex.EncodeToString(tag[:])
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	a.out = packerFor(a.w, a.q)
	a.info = infoFor(a.q, a.format)
	a.begun = true
}

func (a *answer) write(piece []byte) error {
	if a.q.wait {
		if err := a.hold(infoFor(a.q, a.format)); err != nil {
			return err
		}
		return a.hold(piece)
	}
	a.open(nil)
	if _, err := a.out.Write(a.info); err != nil {
		return err
	}
	if _, err := a.out.Write(piece); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// hold stores a piece in a file, because answers may be larger than memory.
func (a *answer) hold(piece []byte) error {
	if a.held == nil {
		f, err := os.CreateTemp(a.temp, "answer-")
		if err != nil {
			return brokenDisk(err)
		}
		a.held = f
	}
	if _, err := a.held.Write(piece); err != nil {
		return brokenDisk(err)
	}
	return nil
}

// whole sends a complete answer.
func (a *answer) whole(b []byte, n engine.Counts) error {
	a.open(&n)
	if len(b) > 0 {
		if _, err := a.out.Write(slices.Concat(a.info, b)); err != nil {
			return a.lost(err)
		}
	}
	return a.lost(a.out.Close())
}

// end closes an answer after its last piece.
func (a *answer) end(n engine.Counts) error {
	if a.held != nil {
		a.open(&n)
		if _, err := a.held.Seek(0, io.SeekStart); err != nil {
			return a.lost(err)
		}
		if _, err := io.Copy(a.out, a.held); err != nil {
			return a.lost(err)
		}
	}
	a.open(&n)
	return a.lost(a.out.Close())
}

// lost handles an error after the answer has begun, when no client is left to receive it.
func (a *answer) lost(err error) error {
	if a.begun {
		return nil
	}
	return err
}

// breakOff sends an exception inside an answer that has begun.
func (a *answer) breakOff(err error) {
	var to io.Writer = a.out
	if blocks, ok := to.(blockPacker); ok {
		// Between compressed blocks, not inside one: the driver searches for the text in the bytes that it received.
		to = blocks.to
	}
	if _, e := io.WriteString(to, tagged(err, a.tag)); e != nil {
		return // the client has disconnected
	}
	_ = a.out.Close() // the same
}

func (a *answer) forget() {
	if a.held != nil {
		_ = a.held.Close()
		_ = os.Remove(a.held.Name()) // the directory is emptied at the next start
	}
}

// contentType returns a server's content type for a format.
func contentType(format string) string {
	switch f := strings.ToLower(format); {
	case strings.HasPrefix(f, "jsoneachrow"), strings.HasPrefix(f, "jsoncompacteachrow"), strings.HasPrefix(f, "jsonstringseachrow"), f == "ndjson":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(f, "json"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(f, "tabseparated"), strings.HasPrefix(f, "tsv"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(f, "csv"):
		return "text/csv; charset=UTF-8; header=absent"
	case f == "native", f == "parquet", strings.HasPrefix(f, "arrow"), strings.HasPrefix(f, "rowbinary"), f == "orc", f == "avro":
		return "application/octet-stream"
	default:
		return "text/plain; charset=UTF-8"
	}
}
