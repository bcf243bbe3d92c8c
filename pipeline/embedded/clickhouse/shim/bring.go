package shim

import (
	"bufio"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/native"
)

// tables reads the blocks that follow a statement, up to the empty one: external tables, and scalars of the statement.
// Several blocks of one name are one table.
func (p *peer) tables(job *work, sent *native.Query) error {
	for {
		code, called, err := p.dataName()
		if err != nil {
			return err
		}
		if code == scalarPacket {
			if err := p.scalar(job, sent, called); err != nil {
				return err
			}
			continue
		}
		file, done, columns, err := p.keepBlock(job, sent.Compress)
		switch {
		case err != nil:
			return err
		case done:
			return nil
		}
		more := slices.ContainsFunc(job.tables, func(t table) bool { return t.name == called })
		job.tables = append(job.tables, table{name: called, structure: structureOf(columns), format: "Native", file: file, more: more})
	}
}

func structureOf(columns []native.Column) string {
	var list []string
	for _, c := range columns {
		list = append(list, name(c.Name)+" "+c.Type)
	}
	return strings.Join(list, ", ")
}

// dataName reads the beginning of a block's packet.
func (p *peer) dataName() (proto.ClientCode, string, error) {
	b, err := p.in.ReadByte()
	if err != nil {
		return 0, "", err
	}
	code := proto.ClientCode(b)
	if code != proto.ClientCodeData && code != scalarPacket {
		return code, "", refuse(unexpectedPacket, "Packet %d is not expected here, but a block", code)
	}
	called, err := native.ReadName(p.in)
	return code, called, err
}

// keepBlock reads one block into a file of its own, unless it is the empty one.
func (p *peer) keepBlock(job *work, compressed bool) (file string, done bool, columns []native.Column, err error) {
	f := &late{s: p.door.s, job: job}
	to := bufio.NewWriter(f)
	b, err := native.Recode(to, p.blocksIn(compressed), p.revision, 0)
	if err != nil || b.End() {
		return "", b.End(), nil, errors.Join(err, f.Close())
	}
	err = errors.Join(to.Flush(), f.Close())
	return f.Name(), false, b.Columns, err
}

// late is a file that comes to be with its first byte: most statements bring none.
type late struct {
	s   *Server
	job *work
	*os.File
}

func (l *late) Write(b []byte) (int, error) {
	if l.File == nil {
		var err error
		if l.File, err = l.s.file(l.job); err != nil {
			return 0, err
		}
	}
	n, err := l.File.Write(b)
	if err != nil {
		err = brokenDisk(err)
	}
	return n, err
}

func (l *late) Close() error {
	if l.File == nil {
		return nil
	}
	return l.File.Close()
}

func (p *peer) blocksIn(compressed bool) *bufio.Reader {
	if compressed {
		return p.raw
	}
	return p.in
}

// file makes a file of ours for a job.
func (s *Server) file(job *work) (*os.File, error) {
	f, err := os.CreateTemp(s.o.Temp, "body-")
	if err != nil {
		return nil, brokenDisk(err)
	}
	job.files = append(job.files, f.Name())
	return f, nil
}

// shape makes of a statement what the engine runs. An INSERT's blocks are read into a file, once the client was told
// its columns; a FORMAT clause is the client's affair.
func (p *peer) shape(job *work, q *request, text string) error {
	st := understand(text)
	if st.inserts && q.readsOnly() {
		return errInserts
	}
	job.verb, job.format = st.verb, "Native"
	if describable(st.verb) {
		job.totals, job.extremes = st.totals, st.extremes || q.on("extremes")
	}
	switch {
	case st.files:
		return refuse(unsupported, "INTO OUTFILE and FROM INFILE are for clients: a server does not touch files")
	case st.verb != "INSERT" || st.selects:
		job.text = text[:st.stated]
		if st.formatTo > 0 && clause(text[st.formatTo:]) {
			job.text = text[:st.formatFrom] + text[st.formatTo:max(st.formatTo, st.stated)]
		}
		return nil
	case st.insert.kind != noData && strings.Trim(text[st.insert.data:], " \t\r\n;") != "":
		q.query = text // brings its data in its text, as by HTTP
		return p.door.s.shape(job, q, strings.NewReader(""))
	}
	in := st.insert
	columns, all, err := p.columns(q, targetOf(text[:in.head]))
	if err != nil {
		return err
	}
	if err := p.invite(q, columns, all); err != nil {
		return onLine(err)
	}
	file, err := p.data(job, q.compress)
	if err != nil {
		return err
	}
	job.insert = true
	job.text = text[:in.head] + infile(file) + text[in.settings:in.format] + " FORMAT Native"
	return nil
}

// clause reports whether a FORMAT clause may stand before such a rest. Else the word was a name.
func clause(rest string) bool {
	l := lexer{text: rest}
	t := l.next()
	word := rest[t.start:t.end]
	return t.kind == end || word == ";" || strings.EqualFold(word, "SETTINGS")
}

// data reads an INSERT's blocks into one file, up to the empty one. What cannot be written is read all the same, so
// that the client can be told and go on.
func (p *peer) data(job *work, compressed bool) (string, error) {
	f, err := p.door.s.file(job)
	var to io.Writer = io.Discard
	if err == nil {
		to = f
	}
	w := &kept{to: bufio.NewWriterSize(to, 64<<10)}
	for {
		code, err := p.in.ReadByte()
		if err != nil {
			return "", onLine(err)
		}
		if proto.ClientCode(code) == proto.ClientCodeCancel {
			return "", refuse(cancelledByClient, "Query was cancelled")
		}
		if proto.ClientCode(code) != proto.ClientCodeData {
			return "", onLine(refuse(unexpectedPacket, "Packet %d is not expected here, but a block", code))
		}
		if _, err := native.ReadName(p.in); err != nil {
			return "", onLine(err)
		}
		b, err := native.Recode(w, p.blocksIn(compressed), p.revision, 0)
		if err != nil {
			return "", onLine(err)
		}
		if b.End() {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if err := errors.Join(w.err, w.to.Flush(), f.Close()); err != nil {
		return "", brokenDisk(err)
	}
	return f.Name(), nil
}

// kept writes as long as that works, and remembers why it no longer did.
type kept struct {
	to  *bufio.Writer
	err error
}

func (k *kept) Write(b []byte) (int, error) {
	if k.err == nil {
		_, k.err = k.to.Write(b)
	}
	return len(b), nil
}
