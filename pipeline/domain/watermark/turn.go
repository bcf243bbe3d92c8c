package watermark

import (
	"crypto/sha256"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
)

// stop ends the turn.
func (r Reader) stop() Reader {
	return Reader{Setup: r.Setup, State: r.State, Failures: r.Failures, Busy: r.Busy}
}

// admit makes a list that comes into force due.
func (r Reader) admit(s State, now time.Time) (Reader, []Effect) {
	r = r.stop()
	r.State = s
	if _, write := s.Introduce(r.Query, now); !write {
		return r, nil
	}
	return r, []Effect{Swap{Introduce{r.Query, now}}}
}

// look begins a turn, if a poll is due.
func (r Reader) look(e Look, now time.Time) (Reader, []Effect) {
	r = r.stop()
	r.State, r.Busy = e.State, false
	if _, ahead := e.State.Corrected(r.Plan, now); ahead {
		return r, []Effect{Swap{Correct{r.Plan, now}}}
	}
	switch {
	case !e.State.Due(now):
		return r, nil
	case e.Blocked:
		return r, []Effect{Show{"circuit_open"}}
	}
	r.phase = measuring
	return r, []Effect{CountBacklog{}}
}

// measure decides whether the poll that is due may be made.
func (r Reader) measure(e Event, now time.Time) (Reader, []Effect) {
	switch e := e.(type) {
	case Counted:
		if e.Candidates < r.Backlog {
			return r, []Effect{ReadFunds{}}
		}
		return r.stop(), []Effect{Swap{Postpone{r.Plan, now}}}
	case Funds:
		if e.Pages == 0 {
			return r.stop(), []Effect{ReportDue{false}, Show{"waiting_for_tokens"}}
		}
		r.Busy, r.Plan.Income = true, e.Income
		r, effects := r.takeUp()
		return r, append([]Effect{ReportDue{true}, Show{"working"}}, effects...)
	}
	return r, nil
}

// takeUp resumes the read under way, or begins one.
func (r Reader) takeUp() (Reader, []Effect) {
	if r.State.Read == nil || r.State.Query != r.Query {
		return r.locate()
	}
	r = r.over(r.State)
	r.phase, r.last = resuming, r.State.Read.Begun
	return r, []Effect{Replay{r.State.Read.Since}}
}

// over returns the reader with the state's read under way and no page of it.
func (r Reader) over(s State) Reader {
	r.State, r.read, r.offered = s, s.NewRead(r.Plan), nil
	return r
}

func (r Reader) locate() (Reader, []Effect) {
	r.phase = beginning
	return r, []Effect{Locate{}}
}

// begin begins a read after the pages that are stored.
func (r Reader) begin(e Event, now time.Time) (Reader, []Effect) {
	switch e := e.(type) {
	case Located:
		return r, []Effect{Swap{Start{r.Query, e.Sequence, r.Plan, now}}}
	case Swapped:
		r = r.over(e.State)
		r.phase = reading
		return r.proceed(now)
	}
	return r, nil
}

// move goes through the list, page after page.
func (r Reader) move(e Event, now time.Time) (Reader, []Effect) {
	index, _ := r.read.Next()
	switch e := e.(type) {
	case Replayed:
		r.stored = e.Answers
		return r.proceed(now)
	case Short:
		return r, []Effect{Show{"waiting_for_tokens"}, Wait{}}
	case Woke:
		if e.Leads {
			return r, []Effect{Claim{}}
		}
		return r.stop(), nil // the next leader resumes this read
	case Removed:
		return r.conclude(removed, now)
	case Claimed:
		r.holds = true
		return r, []Effect{CountAttempts{r.work(index)}}
	case Tried:
		return r.tried(index, e.Attempts, now)
	case Bought:
		r.holds, r.bought = false, true
		return r.took(e.Answer, now)
	case Offered:
		return r.addPage(e.Rows, now)
	}
	return r, nil
}

// proceed continues with the next stored page of a resumed read, or buys the next page.
func (r Reader) proceed(now time.Time) (Reader, []Effect) {
	for len(r.stored) > 0 {
		a := r.stored[0]
		r.stored = r.stored[1:]
		if _, more := r.read.Next(); more && a.Flaw != Partial {
			return r.took(a, now)
		}
	}
	if r.phase == resuming {
		return r.resumed(now)
	}
	if _, more := r.read.Next(); more {
		return r, []Effect{Claim{}}
	}
	return r.conclude(finished, now)
}

// resumed continues the read that was under way, unless it is too old.
func (r Reader) resumed(now time.Time) (Reader, []Effect) {
	_, more := r.read.Next()
	switch {
	case !more || r.Plan.Continues(r.last, now):
		r.phase = reading
		return r.proceed(now)
	case r.read.Pages == 0:
		return r.locate()
	}
	return r.reload(stale)
}

// tried buys a page, unless it was paid for as often as is allowed, or may have been.
func (r Reader) tried(index int, a token.Attempts, now time.Time) (Reader, []Effect) {
	work := r.work(index)
	switch {
	case a.Waits():
		return r, []Effect{BuyLater{Index: index}}
	case a.Spent():
		r.holds = false
		dead := DeadLetter{Index: index, Work: work}
		r, effects := r.skip(index, fmt.Sprintf("page %d was paid for %d times and no answer was complete", index, pipeline.MaxPaid)).proceed(now)
		return r, append([]Effect{Release{}, dead}, effects...)
	}
	return r, []Effect{Attempt{work}, Buy{index}}
}

// work names a page of this read as work. A sweep that passes over the list again buys the page again.
func (r Reader) work(index int) string {
	page := fmt.Appendf(nil, "%s|%d", r.State.Read.ID, index)
	if n := r.read.Rounds(); n > 0 {
		page = fmt.Appendf(page, "|%d", n)
	}
	sum := sha256.Sum256(page)
	return fmt.Sprintf("%x", sum[:12])
}

// skip leaves a page out.
func (r Reader) skip(index int, why string) Reader {
	r.read = r.read.clone()
	r.read.Skip(index, why)
	return r
}

// took offers the rows of a page, or skips a page that cannot be read. Rows that are valid are offered from a page of a
// strange shape too, which only moves no mark; but none from a list that is stale as a whole.
func (r Reader) took(a Answer, now time.Time) (Reader, []Effect) {
	if a.Flaw == Unreadable {
		dead := DeadLetter{Index: a.Page.Index, Answer: &a}
		r, effects := r.skip(a.Page.Index, fmt.Sprintf("page %d cannot be read", a.Page.Index)).proceed(now)
		return r, append([]Effect{dead}, effects...)
	}
	r.page = a
	offer := Offer{Call: a.Call, Rows: r.lanes(a.Page, now), At: now}
	odd := a.Page.Odd()
	if odd == "" || a.Flaw != NoFlaw {
		return r, []Effect{offer}
	}
	warn := Warn{strange, []any{"page", a.Page.Index, "why", odd}}
	if a.Page.Index == 0 && a.Page.Stale() {
		return r, []Effect{warn, DeadLetterRows{a.Call}}
	}
	offer.Odd = true
	return r, []Effect{warn, offer}
}

// lanes returns the rows that this read has not offered, with their lanes: a row that was owed
// takes the lane of gaps, and one from before the first sweep that of the backfill.
func (r Reader) lanes(p Page, now time.Time) []LanedRow {
	var out []LanedRow
	named := map[Row]bool{}
	for _, row := range p.Rows {
		if row.At <= 0 || !pipeline.ValidASIN(row.ASIN) || r.offered.has(row) || named[row] {
			continue
		}
		named[row] = true // a page may name a row twice
		source := pipeline.SourceLive
		switch {
		case r.State.Owes(row.At):
			source = pipeline.SourceGap
		case r.State.Before(row.At, Mark(keepa.FromTime(now)), r.Plan):
			source = pipeline.SourceBackfill
		}
		out = append(out, LanedRow{row, source})
	}
	return out
}

// addPage counts the candidates of the current page, and adds the page to the read, if all of it came.
func (r Reader) addPage(rows []Row, now time.Time) (Reader, []Effect) {
	a := r.page
	offered := make(map[Row]bool, len(a.Page.Rows))
	for _, row := range a.Page.Rows {
		offered[row] = true
	}
	r.page, r.read, r.offered = Answer{}, r.read.clone(), r.offered.with(offered)
	for _, row := range rows {
		if row.At > r.State.Mark {
			r.read.Fresh++
		} else {
			r.read.Late++
		}
	}
	if a.Flaw == Partial {
		return r, []Effect{BuyLater{Index: a.Page.Index, Err: a.Err}}
	}
	r.read.Take(a.Page)
	r.last = a.At
	poll := r.polled(a, len(rows), now)
	r, effects := r.proceed(now)
	return r, append([]Effect{Append{poll}}, effects...)
}

// fail ends or cuts the read short in which an effect failed. What was published counts:
// the mark moves, and what was not read is owed. A read that did not begin is tried again.
func (r Reader) fail(effect Effect, now time.Time) (Reader, []Effect) {
	_, released := effect.(Release)
	switch {
	case r.phase == reading:
		_, bought := effect.(Buy)
		holds := r.holds && !bought
		r, effects := r.conclude(failed, now)
		if holds {
			effects = append([]Effect{Release{}}, effects...)
		}
		return r, effects
	case r.phase == ending && released:
		return r.reload(r.outcome)
	case r.phase == ending && (r.outcome == finished || r.outcome == failed), r.phase == resting && released:
		return r.rest(now)
	}
	return r.stop(), nil
}

// conclude ends the read, if it has pages that were not accounted for.
func (r Reader) conclude(o outcome, now time.Time) (Reader, []Effect) {
	switch {
	case o == finished || r.State.Counts(r.read, r.bought):
		return r.reload(o)
	case o == failed:
		return r.rest(now)
	}
	return r.stop(), nil
}

func (r Reader) reload(o outcome) (Reader, []Effect) {
	r.phase, r.outcome, r.holds = ending, o, false
	return r, []Effect{Reload{}}
}

// end writes the effect of the read on the gaps, and then the state, if the read is still the one under way.
func (r Reader) end(e Event, now time.Time) (Reader, []Effect) {
	switch e := e.(type) {
	case Reloaded:
		if !e.State.reads(r.State.Read.ID) {
			return r.ended(now)
		}
		r.Plan.Income = e.Income
		_, change := e.State.End(r.read, r.Plan, now)
		return r, append(r.changed(change, now), Swap{Finish{r.State.Read.ID, r.read, r.Plan, now}})
	case Swapped:
		return r.ended(now)
	}
	return r, nil
}

// ended continues after the read.
func (r Reader) ended(now time.Time) (Reader, []Effect) {
	switch r.outcome {
	case finished:
		r.Failures = 0
		return r.stop(), []Effect{Stepped{}}
	case failed:
		return r.rest(now)
	case stale:
		return r.locate()
	case removed:
	}
	return r.stop(), nil
}

// rest makes the list back off. It is called again if the Release before
// it failed, and that does not count as another failure.
func (r Reader) rest(now time.Time) (Reader, []Effect) {
	if r.phase != resting {
		r.Failures++
	}
	r.phase, r.holds = resting, false
	return r, []Effect{Swap{CutShort{r.Failures - 1, r.Plan, now}}}
}
