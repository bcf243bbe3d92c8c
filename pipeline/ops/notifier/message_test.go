package notifier

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
	"ratchet/test/desk"
	"ratchet/test/doors/hostile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// markups are how the services show text.
var markups = map[string]markup{"slack": slackText, "discord": discordText, "telegram": telegramText, "plain": plainText}

// aDeal is a deal that is not simulated, in which a stranger wrote what may be written.
func aDeal(text string) cli.Current {
	d := Example(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)).Deals[0]
	d.ASIN, d.Simulated, d.Title, d.SellerName, d.Condition = "0593655036", false, foreign.Of(text), foreign.Of(text), "very good"
	return d
}

// ofOurs are the links that we make.
var ofOurs = regexp.MustCompile(`https://(www\.amazon\.com/(dp|gp/offer-listing)/0593655036(/\?condition=used)?|keepa\.com/#!product/1-0593655036)`)

// escaped is what a service takes for text: code, whatever stands in it.
var escaped = map[string]*regexp.Regexp{
	"slack": regexp.MustCompile("`[^`<>]*`"), "discord": regexp.MustCompile("`[^`]*`"),
	"telegram": regexp.MustCompile(`<code>[^<>]*</code>`), "plain": regexp.MustCompile(`^$`),
}

// active is what a service makes a link, a mention or markup of.
var active = regexp.MustCompile(`(?i)https?:|evil\.example|@|javascript:|mailto:|<!|<script|<img|\]\(|\*b\*|\|\|`)

func TestNoTextOfAStrangerIsALinkAMentionOrMarkupInAnyMessage(t *testing.T) {
	t.Parallel()
	for name, k := range markups {
		var all strings.Builder
		for _, h := range hostile.Texts() {
			single := k.render(Message{Deals: []cli.Current{aDeal(h.Text)}})
			digest := k.render(Message{Deals: []cli.Current{aDeal(h.Text), aDeal(h.Text)}})
			alarm := k.render(Message{Alarm: &notify.Alarm{Name: "keepa", Text: "Keepa: " + h.Text}})
			title, _, _ := strings.Cut(single, "\n") // the seller stands there in the same way
			fmt.Fprintf(&all, "%s: %+q\n", h.Name, title)
			for _, m := range []string{single, digest, alarm} {
				left := ofOurs.ReplaceAllString(escaped[name].ReplaceAllString(m, ""), "")
				if name == "plain" {
					left = strings.NewReplacer("*b*", "", "||", "", "](", "", "<!", "", "<script", "", "<img", "").Replace(left) // only text there
				}
				if found := active.FindString(left); found != "" {
					t.Errorf("%s, %s: %q is active in %+q", name, h.Name, found, m)
				}
			}
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.MkdirAll("testdata", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(all.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != all.String() {
			t.Errorf("%s differs (%v): run with -update and read the difference", golden, err)
		}
	}
}

func TestAMessageHasTheFactsThatDecide(t *testing.T) {
	t.Parallel()
	const want = `A book
profit $12.40 ($3.50 to $21.30), odds of a loss 8 %
buy $12.99, very good, costs $14.49 in all, from A book
sells for $41.50 ($31.00 to $52.00) in about 1.4 months, rank 184,203
why: 17 sales in a year, lowest new $54.99, next best used $38.90; ratchet why 0593655036
Amazon https://www.amazon.com/dp/0593655036 · used offers https://www.amazon.com/gp/offer-listing/0593655036/?condition=used · Keepa https://keepa.com/#!product/1-0593655036`
	if got := plainText.render(Message{Deals: []cli.Current{aDeal("A book")}}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	simulated := aDeal("A book")
	simulated.Simulated = true
	if got := plainText.render(Message{Deals: []cli.Current{simulated}}); strings.Contains(got, "http") || !strings.Contains(got, "\nsimulated: nobody sells this\n") {
		t.Errorf("simulated:\n%s", got)
	}
	digest := Message{Deals: []cli.Current{simulated, simulated}}
	if got := plainText.render(digest); strings.Contains(got, "http") || strings.Count(got, "simulated: nobody sells this") != 2 {
		t.Errorf("a digest of simulated deals:\n%s", got)
	}
}

func TestADigestThatIsTooLongShowsHowManyItLeavesOut(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 8, 100} {
		deals := slices.Repeat([]cli.Current{aDeal(strings.Repeat("A long title ", 20))}, n)
		for _, k := range []markup{slackText, discordText, telegramText, plainText.upTo(1024)} {
			got := k.render(Message{Deals: deals})
			shown := strings.Count(got, "profit $")
			if len(got) > k.most || shown < 1 || shown < n && !strings.HasSuffix(got, fmt.Sprintf("and %d more: ratchet deals", n-shown)) || shown == n && strings.Contains(got, "more:") {
				t.Errorf("%d deals, %d shown, %d bytes of %d: …%s", n, shown, len(got), k.most, got[max(0, len(got)-60):])
			}
		}
	}
	if got := discordText.render(Message{Deals: []cli.Current{aDeal(strings.Repeat("A long title ", 90))}}); len(got) > discordText.most {
		t.Errorf("one deal has %d bytes", len(got))
	}
}

func TestAnAlarmOrADealOfAnyLengthFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("a.b ", 300), strings.Repeat("書", 1200)} {
		for _, k := range []markup{slackText, discordText, telegramText, plainText.upTo(1024)} {
			for _, m := range []Message{
				{Alarm: &notify.Alarm{Name: "keepa", Text: text}}, {Alarm: &notify.Alarm{Name: "keepa", Text: text, Ended: true}}, {Deals: []cli.Current{aDeal(text)}},
			} {
				if got := k.render(m); utf8.RuneCountInString(got) > k.most {
					t.Errorf("%d characters of %d: %s", utf8.RuneCountInString(got), k.most, got)
				}
			}
		}
	}
}

func TestATargetIsNamedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://hooks.slack.com/services/T/B/XXXXXXXX":            "1 slack hooks.slack.com",
		"https://discord.com/api/webhooks/123456/XXXXXXXX":         "1 discord discord.com",
		"https://example.com:8443/XXXXXXXX":                        "1 webhook example.com:8443",
		"telegram://123:XXXXXXXX@telegram?chats=@mychannel":        "1 telegram api.telegram.org chat @mychannel",
		"ntfy://:XXXXXXXX@ntfy.sh/XXXXXXXX":                        "1 ntfy ntfy.sh",
		"pushover://shoutrrr:XXXXXXXX@XXXXXXXX":                    "1 pushover api.pushover.net",
		"smtps://u:XXXXXXXX@mail.example.com/?from=a@b.c&to=d@e.f": "1 mail mail.example.com",
	} {
		targets, err := ParseTargets(process.Secret("# comment\n\n" + address + "\n"))
		if err != nil || len(targets) != 1 || targets[0].Name() != want {
			t.Errorf("%s: %v, %v", want, targets, err)
		}
	}
	if targets, err := ParseTargets("https://a.example/1 https://a.example/2"); err != nil || len(targets) != 2 || targets[1].Number != 2 {
		t.Errorf("%v, %v", targets, err)
	}
}

func TestWhatIsWrongInAPipelineHasAName(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := cli.Status{
		At: now, Wish: "run", Balance: &token.Balance{State: "burst"},
		Stuck: []cli.Stuck{{Daemon: "peeker", Reason: "does not run: no heartbeat"}, {Daemon: "recorder", Reason: "clickhouse is unreachable"}},
		Daemons: []pipeline.Heartbeat{
			{Daemon: "recorder", Detail: map[string]any{"clickhouse": "unreachable since 2026-03-02T08:00:00Z"}},
			{Daemon: "tokend", State: "working", LastError: "the key is refused"},
		},
		Watermarks: map[string]watermark.State{"1.used-books": {NextPoll: now.Add(-61 * time.Minute)}, "1.other": {NextPoll: now.Add(-59 * time.Minute)}},
	}
	got := wrongs(s)
	for name, part := range map[string]string{
		"stuck:peeker": "no heartbeat", "engine": "unreachable since", "keepa": "the key is refused", "list:1.used-books": "07:59",
	} {
		if !strings.Contains(got[name], part) {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v", got)
	}
	s.Daemons = s.Daemons[1:]
	if got := wrongs(s); got["engine"] != "" || got["stuck:recorder"] == "" {
		t.Errorf("the recorder is stuck although ClickHouse is not away: %v", got)
	}
	s.Balance.State, s.Stuck, s.Daemons = "recharge", nil, nil // a list is not read meanwhile
	if got := wrongs(s); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestAKindOfCallThatStoppedIsAnAlarmWithTheNextStep(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	next := "nats kv put TOKENS policy"
	body, err := json.Marshal(token.Balance{State: "burst", Stopped: map[pipeline.Stage]string{pipeline.StageCommitter: "commit is stopped; " + next}})
	if err == nil {
		_, err = kv.Put(t.Context(), pipeline.KeyBalance, body)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := cli.Health(t.Context(), d.Bus)
	if got := wrongs(s)["stuck:committer"]; err != nil || !strings.Contains(got, next) {
		t.Errorf("the alarm is %q (%v), want what to do", got, err)
	}
}

func TestALateListIsAnAlarmByTheModeOfThePlanThatReadsIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	late := watermark.State{NextPoll: now.Add(-61 * time.Minute)}
	burst, recharge := &token.Balance{State: string(token.Burst)}, &token.Balance{State: string(token.Recharge)}
	for _, c := range []struct {
		first, eu       string // modes
		balance, others *token.Balance
		want            []string
	}{
		{"run", "run", burst, burst, []string{"list:1.us", "list:3.de"}},
		{"paused", "run", burst, burst, []string{"list:3.de"}},
		{"run", "paused", burst, burst, []string{"list:1.us"}},
		{"run", "run", recharge, burst, []string{"list:3.de"}},
		{"run", "run", burst, recharge, []string{"list:1.us"}},
		{"run", "run", burst, nil, []string{"list:1.us"}},
	} {
		got := wrongs(cli.Status{
			At: now, Wish: c.first, Balance: c.balance, Watermarks: map[string]watermark.State{"1.us": late, "3.de": late},
			Plans: []cli.PlanStatus{{Plan: "eu", Domains: []keepa.Domain{keepa.DomainDE}, Wish: c.eu, Balance: c.others}},
		})
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, c.want) {
			t.Errorf("main %s, eu %s: got %v, want %v", c.first, c.eu, names, c.want)
		}
	}
}

func TestAWebhookOfOnesOwnIsSentWhatItsTemplateMakes(t *testing.T) {
	t.Parallel()
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "hook.tmpl")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	f := newFake(t, ok)
	send := func(address string, m Message) error {
		targets, err := ParseTargets(process.Secret(address))
		if err != nil {
			return err
		}
		return targets[0].Send(t.Context(), m)
	}
	good := write(`{"message": {{json .plain}}, "asin": {{with .deal}}{{json .asin}}{{else}}null{{end}}, "profit": {{with .deal}}{{.profit_cents}}{{else}}0{{end}}}`)
	if err := send(f.url+"/hook#template="+good, ofOneDeal(t, `A "title"`)); err != nil {
		t.Fatal(err)
	}
	if got := f.took()[0]; got.Path != "/hook" || got.JSON["asin"] != "0593655036" || !strings.Contains(got.Text, `A "title"`) || got.JSON["profit"] != 1240.0 {
		t.Errorf("%+v", got)
	}
	for says, text := range map[string]string{
		"makes no JSON": `{"message": {{.plain}}}`, "missing value": `{{if}}`, "not defined": `{{nothing}}`,
	} {
		if err := send(f.url+"#template="+write(text), ofOneDeal(t, "t")); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	if err := send(f.url+"#template=/nowhere/else", ofOneDeal(t, "t")); err == nil || !strings.Contains(err.Error(), "target 1: template") {
		t.Errorf("a file that is not there: %v", err)
	}
	with, err1 := ParseTargets(process.Secret(f.url + "#template=" + good))
	without, err2 := ParseTargets(process.Secret(f.url))
	if err1 != nil || err2 != nil || with[0].hash != without[0].hash {
		t.Errorf("with a template it begins again: %v, %v", err1, err2)
	}
}

// ofOneDeal is a message of one deal with a body.
func ofOneDeal(t *testing.T, title string) Message {
	t.Helper()
	d := aDeal(title)
	d.Body = []byte(`{"asin":"0593655036","profit_cents":1240}`)
	return Message{Key: "k", Deals: []cli.Current{d}}
}

func TestAMailThatOneRecipientCannotGetIsSentToTheOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		rcpt    map[string]string
		outcome notify.Outcome
		says    string
	}{
		{"all are taken", nil, notify.Sent, ""},
		{"the second has no mailbox", map[string]string{"b@example.com": "550 no such mailbox"}, notify.Sent, "550 no such mailbox"},
		{"the second is greylisted", map[string]string{"b@example.com": "450 later"}, notify.Again, "450 later"},
		{"the first has no mailbox, the third is greylisted", map[string]string{"a@example.com": "550 none", "c@example.com": "450 later"}, notify.Again, "450 later"},
		{"none has a mailbox", map[string]string{"a@example.com": "550 no a", "b@example.com": "551 no b", "c@example.com": "550 no c"}, notify.Refused, "550 no a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPostbox(t)
			p.rcpt = c.rcpt
			targets, err := ParseTargets(process.Secret("smtp://" + p.addr + "/?from=r@example.com&to=a@example.com,b@example.com,c@example.com"))
			if err != nil {
				t.Fatal(err)
			}
			err = targets[0].Send(t.Context(), ofOneDeal(t, "A book"))
			outcome, says := notify.Sent, ""
			if refused, is := errors.AsType[*refusal](err); is {
				outcome, says = refused.outcome, refused.text
			} else if err != nil {
				t.Fatal(err)
			}
			if taken := len(p.took()); outcome != c.outcome || says != c.says || taken != map[bool]int{true: 1}[c.outcome == notify.Sent] {
				t.Errorf("%s, %q, and %d messages were taken; want %s, %q", outcome, says, taken, c.outcome, c.says)
			}
		})
	}
}

func TestAMailIsNotSetAsideBecauseTheServerRefusesTheLogin(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	targets, err := ParseTargets(process.Secret(mailAt(p)))
	if err != nil {
		t.Fatal(err)
	}
	for _, login := range []string{"535 the password has expired", "454 not now", ""} {
		p.mu.Lock()
		p.login = login
		p.mu.Unlock()
		err := targets[0].Send(t.Context(), ofOneDeal(t, "A book"))
		if refused, is := errors.AsType[*refusal](err); is && refused.outcome == notify.Refused || (err == nil) != (login == "") {
			t.Errorf("the login is answered by %q: %v", login, err)
		}
	}
	if n := len(p.took()); n != 1 {
		t.Errorf("%d messages were taken after the password was corrected, want 1", n)
	}
}

func TestTheSameDealsHaveTheSameKeyAndOthersAnother(t *testing.T) {
	t.Parallel()
	a, b := aDeal("a"), aDeal("b")
	b.ASIN = "0006120725"
	keys := map[string]bool{}
	for _, about := range [][]cli.Current{{a}, {b}, {a, b}, {a}, {b, a}} {
		keys[keyOf(about)] = true
	}
	b.CreationDate++
	keys[keyOf([]cli.Current{b})] = true
	if len(keys) != 4 {
		t.Errorf("keys %v", keys)
	}
	m, o := Message{Key: keyOf([]cli.Current{a}), Deals: []cli.Current{a}}, mailer{from: &netmail.Address{Address: "a@b.c"}}
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(9, 0)} { // a repeat
		if letter, err := o.letter(m, at); err != nil || !strings.Contains(string(letter), "\r\nMessage-ID: <"+m.Key+"@ratchet>\r\n") {
			t.Errorf("the key is %s, and the mail has %s, %v", m.Key, letter, err)
		}
	}
}

func TestAPriceThatWasSentHidesAnEarlierOneUnlessItLiesInTheFuture(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	now := int64(keepa.FromTime(sent))
	for ahead, older := range map[int64]bool{-60: true, 0: false, 1: false, 48 * 60: false, 48*60 + 1: true} {
		was := Sent{CreationDate: now + ahead, At: sent}
		if got := was.isOlder(pipeline.Identity{CreationDate: now}); got != older {
			t.Errorf("a price of %d minutes later was sent: this one is to be sent %t, want %t", ahead, got, older)
		}
	}
}
