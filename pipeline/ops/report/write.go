package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"ratchet/pipeline"
)

// Write prints the report: funnel, rejection reasons, tokens by stage.
func (t *Report) Write(w io.Writer) error {
	p := &printer{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	t.writeFunnel(p)
	t.writeReasons(p)
	t.writeTokens(p)
	if p.err != nil {
		return p.err
	}
	return p.w.Flush()
}

// printer keeps the first error, so that a report reads as text and not as
// error handling.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (t *Report) writeFunnel(p *printer) {
	p.f("Funnel\n  look\tlooked at\tsurvived\trejected\taccepted\tother\n")
	for _, look := range []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		by := t.Looked(look)
		all := 0
		for _, n := range by {
			all += n
		}
		survive, reject, accept := by[pipeline.Survive], by[pipeline.Reject], by[pipeline.Accept]
		p.f("  %s\t%d\t%d\t%d\t%d\t%d\n", look, all, survive, reject, accept, all-survive-reject-accept)
	}
	p.f("  decided\t%d\n\n", t.Decided())
}

func (t *Report) writeReasons(p *printer) {
	p.f("Why not\n  look\toutcome\treason\tcount\tshare\n")
	for _, r := range t.Reasons() {
		p.f("  %s\t%s\t%s\t%d\t%.1f %%\n", r.Look, r.Outcome, r.Reason, r.Count, 100*float64(r.Count)/float64(max(1, t.Decided())))
	}
	p.f("\n")
}

func (t *Report) writeTokens(p *printer) {
	p.f("Tokens\n  stage\tfor\tcalls\titems\ttokens\n")
	for _, s := range t.Spent() {
		p.f("  %s\t%s\t%d\t%d\t%d\n", s.Plan.With(string(s.Stage)), s.Kind, s.Calls, s.Items, s.Tokens)
	}
	p.f("  total\t\t\t\t%d\n", t.Tokens())
	if n := t.Decided(); n > 0 {
		p.f("  per decision\t\t\t\t%.2f\n", float64(t.Tokens())/float64(n))
	}
	if n := len(t.Found()); n > 0 {
		p.f("  per deal\t\t\t\t%.1f\n", float64(t.Tokens())/float64(n))
	}
	for _, extra := range []struct {
		name string
		n    int
	}{{"lost", t.Lost()}, {"drift", t.Drift()}, {"expired at a full bucket", t.Expired()}} {
		if extra.n != 0 {
			p.f("  %s\t\t\t\t%d\n", extra.name, extra.n)
		}
	}
	p.f("\n")
}
