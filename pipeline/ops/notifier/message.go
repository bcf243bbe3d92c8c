package notifier

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/text/foreign"
)

// Message is what a target is sent: deals, or an alarm.
type Message struct {
	Key   string // the Idempotency-Key: a repeat has the same
	Deals []cli.Current
	Alarm *notify.Alarm
	Test  bool // of `ratchet notify test`
}

// Subject is the message in a few words of ours.
func (m Message) Subject() string {
	switch {
	case m.Test:
		return "Ratchet: a test of notifications"
	case m.Alarm != nil && m.Alarm.Ended:
		return "Ratchet: over"
	case m.Alarm != nil:
		return "Ratchet: something is wrong"
	case len(m.Deals) == 1:
		return "Ratchet: a deal"
	}
	return fmt.Sprintf("Ratchet: %d deals", len(m.Deals))
}

// markup is how a service shows text. Our own words hold nothing that any of them takes for markup.
type markup struct {
	most int                          // bytes that a message may have
	text func(foreign.Text) string    // foreign text
	link func(name, to string) string // a link that we make
	bold func(string) string          // what is already escaped
}

func plain(s string) string { return s }

var (
	slackText = markup{
		most: 12000, text: foreign.Text.Slack, bold: plain,
		link: func(name, to string) string { return "<" + to + "|" + name + ">" },
	}
	discordText = markup{
		most: 2000, text: foreign.Text.Discord, bold: plain,
		link: func(name, to string) string { return name + " <" + to + ">" }, // in brackets it has no preview
	}
	telegramText = markup{
		most: 4096, text: foreign.Text.Telegram, bold: func(s string) string { return "<b>" + s + "</b>" },
		link: func(name, to string) string { return `<a href="` + to + `">` + name + "</a>" },
	}
	plainText = markup{
		text: foreign.Text.Plain, bold: plain,
		link: func(name, to string) string { return name + " " + to },
	}
)

// upTo is the markup of a service that takes less.
func (k markup) upTo(most int) markup {
	k.most = most
	return k
}

// render is the message as the service shows it. A digest that is too long ends with how many deals are left out.
func (k markup) render(m Message) string {
	blocks := k.blocks(m)
	left := func(n int) string { return fmt.Sprintf("and %d more: ratchet deals", n) }
	out := ""
	for i, b := range blocks {
		next := b
		if i > 0 {
			next = out + "\n\n" + b
		}
		rest := len(blocks) - i - 1
		room := len(next)
		if rest > 0 {
			room += len("\n\n") + len(left(rest))
		}
		if k.most > 0 && room > k.most && i > 0 {
			return out + "\n\n" + left(rest+1)
		}
		out = next
	}
	return out
}

// mostOfAlarm is how many characters of an alarm are sent: Pushover refuses more than 1024 in a message.
const mostOfAlarm = 900

// blocks are the parts of a message, each of which is shown or not. The first always is, so it is short.
func (k markup) blocks(m Message) []string {
	switch {
	case m.Alarm != nil && m.Alarm.Ended:
		return []string{"Over: " + k.text(foreign.Of(m.Alarm.Text).Short(mostOfAlarm))}
	case m.Alarm != nil:
		return []string{"Something is wrong: " + k.text(foreign.Of(m.Alarm.Text).Short(mostOfAlarm)) + "\nSee ratchet status."}
	case len(m.Deals) == 1:
		return []string{k.fullText(m.Deals[0].Deal, m.Test)}
	}
	out := []string{k.bold(fmt.Sprintf("%d deals", len(m.Deals)))}
	for _, d := range m.Deals {
		t := d.Describe(k.text)
		block := k.bold(t.Title) + "\n" + t.Sums
		if len(t.Links) > 0 {
			block += "\n" + k.link(t.Links[0].Name, t.Links[0].URL)
		}
		out = append(out, block)
	}
	return out
}

// fullText returns the complete text about one deal.
func (k markup) fullText(d cli.Deal, test bool) string {
	t := d.Describe(k.text)
	lines := append([]string{k.bold(t.Title)}, t.Lines...)
	if test {
		lines = append([]string{"This is a test: no such deal was found."}, lines...)
	}
	var links []string
	for _, l := range t.Links {
		links = append(links, k.link(l.Name, l.URL))
	}
	if len(links) > 0 {
		lines = append(lines, strings.Join(links, " · "))
	}
	return strings.Join(lines, "\n")
}

// Notification is what a webhook of the user's own receives: schemas/message/notification.v1.json. Slack shows the
// text, Discord the content, and neither notifies users that a title names; programs read the rest.
type Notification struct {
	Text     string              `json:"text"`
	Content  string              `json:"content"`
	Mentions map[string][]string `json:"allowed_mentions"` // Discord's: none
	Test     bool                `json:"test,omitempty"`   // of `ratchet notify test`
	Deal     json.RawMessage     `json:"deal,omitempty"`   // if it is about one
	Deals    []json.RawMessage   `json:"deals,omitempty"`  // if it is a digest
	Alarm    *notify.Alarm       `json:"alarm,omitempty"`
}

// noMentions keeps Discord from notifying the users that a text names.
var noMentions = map[string][]string{"parse": {}}

// notification is the message for a program.
func (m Message) notification() Notification {
	n := Notification{Text: slackText.render(m), Content: discordText.render(m), Mentions: noMentions, Alarm: m.Alarm, Test: m.Test}
	if len(m.Deals) == 1 {
		n.Deal = m.Deals[0].Body
		return n
	}
	for _, d := range m.Deals {
		n.Deals = append(n.Deals, d.Body)
	}
	return n
}

// Example is the message of `ratchet notify test`.
func Example(now time.Time) Message {
	cents := func(n int64) *int64 { return &n }
	share := func(f float64) *float64 { return &f }
	sales := 17
	d := cli.Deal{
		Domain: 1, ASIN: "0000000000", Title: foreign.Of("An example of a book"), Simulated: true, Condition: "very good", DecidedAt: now.UTC(),
		LandedCents: cents(1299), AllInCents: cents(1449), SaleCents: cents(4150), SaleLow: cents(3100), SaleHigh: cents(5200),
		ProfitCents: cents(1240), ProfitLow: cents(350), ProfitHigh: cents(2130), LossChance: share(0.08), MonthsToSell: share(1.4),
		Rank: cents(184203), SalesInYear: &sales, LowestNew: cents(5499), NextBest: cents(3890), SellerName: foreign.Of("A seller"),
	}
	body, err := json.Marshal(d)
	if err != nil {
		body = []byte("{}") // a deal is always JSON
	}
	return Message{Key: "test." + now.UTC().Format("20060102T150405.000"), Test: true, Deals: []cli.Current{{Deal: d, Body: body, Visible: true}}}
}
