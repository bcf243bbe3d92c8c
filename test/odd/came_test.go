package odd_test

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/tokend"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

// came is what the command that a letter names would print.
func came(t *testing.T, b *bench, text string) []responses.Answer {
	t.Helper()
	command := regexp.MustCompile("`ratchet answer ([A-Za-z0-9._-]+)`").FindStringSubmatch(text)
	if command == nil {
		t.Fatalf("no command in %q", text)
	}
	all, err := responses.AnswersTo(t.Context(), b.Bus, command[1])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestALetterNamesTheCommandThatPrintsWhatCame(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for backoffs")
	}
	t.Parallel()
	b := newBench(t, speed)
	b.spend()
	b.start(t, tokend.Run, nil)
	lost, unread := b.good[0], b.good[1]
	b.keepa.Reply(odd.Peek, lost, forever, odd.Reply{Charged: true, Write: says(200, textHTML, login)})
	b.keepa.Edit(odd.Peek, unread, odd.Set(`{"0":[1,2]}`, "csv"))
	aPeek.offer(t, b, lost, unread)
	b.start(t, peeker.Run, patient)
	b.decided(t, lost, unread)
	letters := b.awaitLetters(t, lost, unread)
	if d := letters[lost]; d.Reason != decide.ReasonNoAnswer {
		t.Errorf("the letter says %s", d.Reason)
	}
	pages := came(t, b, letters[lost].Error.String())
	if len(pages) != pipeline.MaxPaid {
		t.Fatalf("%d answers came, want %d", len(pages), pipeline.MaxPaid)
	}
	for _, a := range pages {
		if string(a.Body) != login || a.RequestID == "" || a.Request == "" {
			t.Errorf("call %q, %q: %q", a.RequestID, a.Request, a.Body)
		}
	}
	if d := letters[unread]; d.Reason != verdict.ReasonUnreadable {
		t.Errorf("the letter says %s", d.Reason)
	}
	if one := came(t, b, letters[unread].Error.String()); len(one) != 1 || !bytes.Contains(one[0].Body, []byte(`"csv":{"0":[1,2]}`)) || one[0].Cost != 1 {
		t.Errorf("%d answers came: %+.200v", len(one), one)
	}
}

// awaitLetters waits for one letter of each ASIN.
func (b *bench) awaitLetters(t *testing.T, asins ...string) map[string]pipeline.Dead {
	t.Helper()
	out := map[string]pipeline.Dead{}
	desk.Await(t, "a letter each", func() bool {
		all := b.letters(t)
		for _, asin := range asins {
			if len(all[asin]) > 0 {
				out[asin] = all[asin][0]
			}
		}
		return len(out) == len(asins)
	})
	return out
}

func TestAnAnswerOfSeveralMessagesComesBackAsItWas(t *testing.T) {
	t.Parallel()
	b := newBench(t, speed)
	body := make([]byte, 17<<20)
	chance := rand.NewChaCha8([32]byte{1})
	_, _ = chance.Read(body) // it never fails
	for call, sent := range map[string][]byte{"w.1": body, "w.2": []byte("<html>"), "w.2.s": []byte("null")} {
		a := responses.Answer{Domain: 3, Kind: pipeline.KindCommit, Body: sent, RequestID: call, Cost: 6, AnsweredAt: b.Env.Now()}
		if err := responses.PutWhole(t.Context(), b.Bus, a); err != nil {
			t.Fatal(err)
		}
	}
	for call, want := range map[string][][]byte{"w.1": {body}, "w.2": {[]byte("<html>"), []byte("null")}, "w.3": nil} {
		got, err := responses.AnswersTo(t.Context(), b.Bus, call)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d answers came, want %d (%v)", call, len(got), len(want), err)
		}
		for i, a := range got {
			if !bytes.Equal(a.Body, want[i]) || a.Cost != 6 {
				t.Errorf("%s: %d bytes for %d tokens came, want %d for 6", call, len(a.Body), a.Cost, len(want[i]))
			}
		}
	}
}
