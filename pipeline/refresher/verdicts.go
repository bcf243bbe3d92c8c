package refresher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
)

// changes is what VERDICTS brought since the last step.
type changes struct {
	changed map[string]refresh.Holding
	seq     uint64       // read up to here
	made    uint32       // epoch of the stream
	cost    refresh.Cost // with these
	more    bool         // there are further verdicts
}

// verdictsAtOnce bounds what is held of the verdicts of one step: after a pause of months they are read in parts.
const verdictsAtOnce = 2000

// errEnough ends a scan.
var errEnough = errors.New("enough of them")

// dealVerdict is one verdict about a deal.
type dealVerdict struct {
	refresh.Event
	key    string
	origin uint64 // sequence in SURVIVORS; of an accept
	deal   *accepted
	body   pipeline.Verdict
}

// accepted is the part of an accepted deal that the refresher reads.
type accepted struct {
	Matched  bool   `json:"offer_matched"`
	Unknown  bool   `json:"seller_unknown"`
	SellerID string `json:"seller_id"`
	Expected *int64 `json:"expected_value_cents"`
	Profit   int64  `json:"profit_cents"`
}

// readVerdicts reads the verdicts since the last step that create a deal, or are about an ASIN in the stock.
func (k *refresher) readVerdicts(ctx context.Context) (changes, error) {
	h := changes{changed: map[string]refresh.Holding{}, seq: k.state.Seq, made: k.state.Made, cost: k.state.Cost}
	span, err := k.verdicts(ctx)
	if err != nil {
		return h, err
	}
	if span.Made != h.made {
		h.seq, h.made = 0, span.Made // a recreated stream
	}
	verdicts, err := k.scanVerdicts(ctx, h.seq)
	if err != nil {
		return h, err
	}
	rows, err := k.rows(ctx, verdicts)
	if err != nil {
		return h, err
	}
	for _, r := range verdicts {
		if r.Source == pipeline.SourceRefresh && r.body.Tokens > 0 { // new rules decide again for no token
			h.cost = h.cost.After(r.body.TokensSpent)
		}
		if r.deal != nil {
			if r.Deal, err = k.dealOf(ctx, r, rows[r.origin]); err != nil {
				return h, err
			}
		}
		was, ok := h.changed[r.key]
		if !ok {
			was = k.stock.holding(r.key)
		}
		if was.Seq > span.Last {
			was.Seq = 0 // the stream was recreated: nothing of this one was read
		}
		if next, changed := was.After(r.Event, k.state.Ran); changed {
			h.changed[r.key] = next
		}
	}
	if h.more = len(verdicts) >= verdictsAtOnce; h.more {
		span.Last = verdicts[len(verdicts)-1].Seq
	}
	h.seq = max(h.seq, span.Last)
	return h, nil
}

// scanVerdicts reads the final verdicts about deals after seq, in order.
func (k *refresher) scanVerdicts(ctx context.Context, seq uint64) ([]dealVerdict, error) {
	var subjects []string
	for _, o := range []pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject, pipeline.Fail} {
		for _, look := range []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
			subjects = append(subjects, k.bus.Subjects(fmt.Sprintf("verdict.%%s.%s.%s.>", look, o))...)
		}
	}
	var out []dealVerdict
	held := map[string]bool{}
	err := messages.ScanVerdicts(ctx, k.bus, bus.From{Subjects: subjects, Sequence: seq + 1}, func(r bus.Read, v visibility.Verdict) error {
		if v.Run != pipeline.RunLive || v.Outcome == pipeline.Accept && v.Verdict.Deal == nil {
			return nil
		}
		key := pipeline.KeySeen(v.Identity)
		if _, known := k.stock.all[key]; !known && !held[key] && v.Outcome != pipeline.Accept {
			return nil // not in the stock
		}
		n := dealVerdict{key: key, body: v.Verdict, Event: refresh.Event{
			Identity: v.Identity, Seq: r.Sequence, Outcome: v.Outcome, Reason: v.Reason, At: v.DecidedAt, Source: v.Source,
		}}
		if v.Outcome == pipeline.Confirm {
			n.Cents = v.ExpectedValueCents
		}
		if v.Outcome == pipeline.Accept {
			if err := json.Unmarshal(v.Verdict.Deal, &n.deal); err != nil || n.deal == nil {
				k.env.Log.Warn("accepted deal cannot be read, it is skipped", "asin", v.ASIN, "sequence", r.Sequence, "err", err)
				return nil
			}
			_, at, _ := strings.Cut(r.Header.Get(pipeline.HeaderOrigin), "/")
			n.origin, _ = strconv.ParseUint(at, 10, 64) // without it there is no row
		}
		held[key] = true
		if out = append(out, n); len(out) == verdictsAtOnce {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// rows returns the list rows of accepted deals, by the sequence of the survivor.
func (k *refresher) rows(ctx context.Context, verdicts []dealVerdict) (map[uint64]pipeline.Survivor, error) {
	var seqs []uint64
	for _, r := range verdicts {
		if r.origin > 0 {
			seqs = append(seqs, r.origin)
		}
	}
	out := map[uint64]pipeline.Survivor{}
	if len(seqs) == 0 {
		return out, nil
	}
	fetcher, err := k.bus.Fetcher(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	msgs, err := fetcher.Read(ctx, seqs)
	if err != nil {
		return nil, fmt.Errorf("read the rows of %d deals: %w", len(seqs), err)
	}
	for seq, m := range msgs {
		var s pipeline.Survivor
		if json.Unmarshal(m.Body, &s) == nil {
			out[seq] = s
		}
	}
	return out, nil
}

// dealOf returns what a holding keeps of an accepted deal. A list row that its stream
// has deleted is replaced by what a candidate needs of it: the look asks Keepa anyway.
func (k *refresher) dealOf(ctx context.Context, r dealVerdict, s pipeline.Survivor) (*refresh.Deal, error) {
	d := r.deal
	out := &refresh.Deal{Cents: d.Profit, Queries: r.body.Queries, ListedAt: r.body.ListedAt, Row: s.Row}
	if d.Expected != nil {
		out.Cents = *d.Expected
	}
	if s.ASIN != r.ASIN || len(s.Row) == 0 {
		out.Row = json.RawMessage(fmt.Sprintf(`{"asin":%q,"creationDate":%d}`, r.ASIN, r.CreationDate))
	}
	if !d.Matched {
		out.Missing = append(out.Missing, "offer")
	}
	if d.Unknown && d.SellerID != "" && k.cfg.Sellers {
		// An answer that Keepa knows no such seller counts as an answer.
		asked, err := responses.Find(ctx, k.bus, r.Domain, pipeline.KindSeller, []string{d.SellerID})
		if err != nil {
			return nil, err
		}
		if _, ok := asked[d.SellerID]; !ok {
			out.Missing = append(out.Missing, "seller")
		}
	}
	return out, nil
}
