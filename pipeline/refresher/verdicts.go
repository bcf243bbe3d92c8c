package refresher

import (
	"context"
	"encoding/json"
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

// heard is what the stream says since the last step.
type heard struct {
	changed map[string]refresh.Holding
	seq     uint64 // heard up to here
	made    uint32 // which stream that is
}

// rung is one verdict that concerns a deal.
type rung struct {
	refresh.Heard
	key    string
	origin uint64 // in SURVIVORS; of an accept
	deal   *accepted
	body   pipeline.Verdict
}

// accepted is what the keeper reads of an accepted deal.
type accepted struct {
	Matched  bool   `json:"offer_matched"`
	Unknown  bool   `json:"seller_unknown"`
	SellerID string `json:"seller_id"`
	Expected *int64 `json:"expected_value_cents"`
	Profit   int64  `json:"profit_cents"`
}

// hear takes in the verdicts about deals since the last step: those that make one,
// and those about an ASIN that we hold.
func (k *keeper) hear(ctx context.Context) (heard, error) {
	h := heard{changed: map[string]refresh.Holding{}, seq: k.state.Seq, made: k.state.Made}
	span, err := k.verdicts(ctx)
	if err != nil {
		return h, err
	}
	if span.Made != h.made {
		h.seq, h.made = 0, span.Made // another stream of that name
	}
	rungs, err := k.listen(ctx, h.seq)
	if err != nil {
		return h, err
	}
	rows, err := k.rows(ctx, rungs)
	if err != nil {
		return h, err
	}
	for _, r := range rungs {
		if r.deal != nil {
			if r.Deal, err = k.dealOf(ctx, r, rows[r.origin]); err != nil {
				return h, err
			}
		}
		was, ok := h.changed[r.key]
		if !ok {
			was = k.all[r.key]
		}
		if was.Seq > span.Last {
			was.Seq = 0 // of another stream of that name: nothing of this one was heard
		}
		if next, changed := was.Hear(r.Heard, k.state.Ran); changed {
			h.changed[r.key] = next
		}
	}
	h.seq = max(h.seq, span.Last)
	return h, nil
}

// listen reads the final verdicts after seq that concern deals, in their order.
func (k *keeper) listen(ctx context.Context, seq uint64) ([]rung, error) {
	var subjects []string
	for _, o := range []pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject, pipeline.Fail} {
		for _, look := range []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
			subjects = append(subjects, fmt.Sprintf("verdict.*.%s.%s.>", look, o))
		}
	}
	var out []rung
	held := map[string]bool{}
	err := messages.ScanVerdicts(ctx, k.bus, bus.From{Subjects: subjects, Sequence: seq + 1}, func(r bus.Read, v visibility.Verdict) error {
		if v.Run != pipeline.RunLive || v.Outcome == pipeline.Accept && v.Verdict.Deal == nil {
			return nil
		}
		key := pipeline.KeySeen(v.Identity)
		if _, known := k.all[key]; !known && !held[key] && v.Outcome != pipeline.Accept {
			return nil // no deal of ours
		}
		n := rung{key: key, body: v.Verdict, Heard: refresh.Heard{
			Identity: v.Identity, Seq: r.Sequence, Outcome: v.Outcome, Reason: v.Reason, At: v.DecidedAt, Source: v.Source,
		}}
		if v.Outcome == pipeline.Confirm {
			n.Cents = v.ExpectedValueCents
		}
		if v.Outcome == pipeline.Accept {
			if err := json.Unmarshal(v.Verdict.Deal, &n.deal); err != nil || n.deal == nil {
				k.env.Log.Warn("accept whose deal cannot be read is passed over", "asin", v.ASIN, "sequence", r.Sequence, "err", err)
				return nil
			}
			_, at, _ := strings.Cut(r.Header.Get(pipeline.HeaderOrigin), "/")
			n.origin, _ = strconv.ParseUint(at, 10, 64) // without one there is no row
		}
		held[key] = true
		out = append(out, n)
		return nil
	})
	return out, err
}

// rows are the list rows of what was accepted, by the place of its survivor.
func (k *keeper) rows(ctx context.Context, rungs []rung) (map[uint64]pipeline.Survivor, error) {
	var seqs []uint64
	for _, r := range rungs {
		if r.origin > 0 {
			seqs = append(seqs, r.origin)
		}
	}
	out := map[uint64]pipeline.Survivor{}
	if len(seqs) == 0 {
		return out, nil
	}
	shelf, err := k.bus.Shelf(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	msgs, err := shelf.Read(ctx, seqs)
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

// dealOf is what the holding keeps of an accepted deal. A row that has left its
// stream is replaced by as much of it as a candidate needs: the look asks Keepa
// anyway.
func (k *keeper) dealOf(ctx context.Context, r rung, s pipeline.Survivor) (*refresh.Deal, error) {
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
		// An answer that says that Keepa knows no such seller is an answer.
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
