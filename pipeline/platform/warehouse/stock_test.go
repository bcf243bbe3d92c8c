package warehouse_test

import (
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

func TestAStaleDealIsShownWithItsReasonAnExpiredOneIsHiddenAndNeitherIsACheck(t *testing.T) {
	t.Parallel()
	w := open(t)
	var deals []warehouse.DealRow
	for i, asin := range []string{"FRESH", "STALE", "AGAIN", "EXPIRED", "CAMEBACK"} {
		deals = append(deals, dealRow(t, uint64(i+1), noon, `{"domain":1,"asin":"`+asin+`","price_type":2,"sale_price_cents":5000,"profit_cents":5}`))
	}
	must(t, w.InsertDeals(t.Context(), deals, "d"))
	seq := uint64(0)
	say := func(asin string, look pipeline.Look, o pipeline.Outcome, reason string) warehouse.VerdictRow {
		seq++
		r := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, seq, noon.Add(time.Duration(seq)*time.Hour))}
		r.Identity = pipeline.Identity{Domain: 1, ASIN: asin, PriceType: 2}
		r.Look, r.Outcome, r.Reason = look, o, reason
		return r
	}
	rows := []warehouse.VerdictRow{}
	for _, d := range []string{"FRESH", "STALE", "AGAIN", "EXPIRED", "CAMEBACK"} {
		rows = append(rows, say(d, pipeline.LookCommit, pipeline.Accept, "ok"))
	}
	rows = append(rows,
		say("STALE", pipeline.LookList, pipeline.Fail, "stale_no_answers"),
		say("AGAIN", pipeline.LookList, pipeline.Fail, "stale_waiting"), say("AGAIN", pipeline.LookPeek, pipeline.Confirm, "unchanged"),
		say("EXPIRED", pipeline.LookList, pipeline.Fail, "stale_over_capacity"), say("EXPIRED", pipeline.LookList, pipeline.Reject, "expired_over_capacity"),
		say("CAMEBACK", pipeline.LookList, pipeline.Reject, "expired_look_failed"), say("CAMEBACK", pipeline.LookPeek, pipeline.Confirm, "unchanged"),
	)
	must(t, w.InsertVerdicts(t.Context(), rows, "v"))
	want(t, w, "SELECT asin, stale_because FROM visible_deals ORDER BY asin", "AGAIN,\nCAMEBACK,\nFRESH,\nSTALE,stale_no_answers")
	want(t, w, "SELECT asin, hidden_because FROM deal_states WHERE hidden_because != ''", "EXPIRED,expired_over_capacity")
	want(t, w, "SELECT last_checked_at = last_confirmed_at FROM deal_states WHERE asin = 'EXPIRED'", "1")
}
