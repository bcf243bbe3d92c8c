package notifier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
)

// Target is one address that is notified.
type Target struct {
	Number int    // in the list, from 1
	Kind   string // slack, discord, telegram, ntfy, pushover, mail or webhook
	Where  string // its host, and what else is not secret
	hash   string // of the address, which names its state
	send   func(ctx context.Context, m Message) error
	scrub  func(string) string
}

// Name is the target for people.
func (t Target) Name() string { return fmt.Sprintf("%d %s %s", t.Number, t.Kind, t.Where) }

// refusal is a target's answer that is not "sent".
type refusal struct {
	outcome notify.Outcome
	text    string        // without secrets
	after   time.Duration // what it asks to wait; 0: nothing
}

func (r *refusal) Error() string { return r.text }

// Send sends a message. Its error holds no secret of the address.
func (t Target) Send(ctx context.Context, m Message) error {
	err := t.send(ctx, m)
	if err == nil {
		return nil
	}
	out := &refusal{outcome: notify.Again}
	if r, ok := errors.AsType[*refusal](err); ok {
		*out = *r
	}
	out.text = foreign.Of(t.scrub(err.Error())).Short(200).String()
	return out
}

// maker makes the target of an address of its scheme.
type maker func(u *url.URL) (Target, error)

// makers are the schemes, as docs/notify.md has them.
var makers = map[string]maker{
	"https": web, "http": web,
	"slack+https": slack, "slack+http": slack, "discord+https": discord, "discord+http": discord,
	"telegram": telegram, "ntfy": ntfy, "ntfy+http": ntfy, "pushover": pushover,
	"smtp": mail, "smtps": mail,
}

// addresses are those of a list: one a line, or several with spaces between, for a file in which a variable is one
// line. Lines that begin with # are passed over.
func addresses(list string) []string {
	var out []string
	for line := range strings.Lines(list) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out = append(out, strings.Fields(line)...)
		}
	}
	return out
}

// ParseTargets reads the list of targets. An error names the target by its number and never repeats the address.
func ParseTargets(list process.Secret) ([]Target, error) {
	var out []Target
	var faults []error
	known := map[string]int{}
	for i, address := range addresses(list.Reveal()) {
		t, err := parseTarget(address)
		t.Number = i + 1
		if err == nil && known[t.hash] > 0 {
			err = fmt.Errorf("is the same as target %d", known[t.hash])
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("NOTIFY_TARGETS, target %d: %w", i+1, err))
			continue
		}
		known[t.hash] = t.Number
		out = append(out, t)
	}
	return out, errors.Join(faults...)
}

func parseTarget(address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Target{}, errors.New("is not an address; docs/notify.md has the forms")
	}
	of, ok := makers[u.Scheme]
	if !ok || u.Host == "" {
		return Target{}, errors.New("want an address like https://…, telegram://…, ntfy://…, pushover://… or smtp://…; docs/notify.md has the forms")
	}
	t, err := of(u)
	if err != nil {
		return t, err
	}
	if strings.HasPrefix(u.Scheme, "http") {
		address, _, _ = strings.Cut(address, "#") // with another template it is the same target
	}
	sum := sha256.Sum256([]byte(address))
	t.hash = hex.EncodeToString(sum[:])[:12]
	t.scrub = scrubber(u)
	return t, nil
}

// leastSecret is how long a part of an address must be to count as a secret: "hooks" does not.
const leastSecret = 6

// scrubber takes out of a text whatever of an address may be secret: all but its host.
func scrubber(u *url.URL) func(string) string {
	var pairs []string
	add := func(part string) {
		if len(part) >= leastSecret {
			pairs = append(pairs, part, "[secret]")
		}
	}
	password, _ := u.User.Password()
	add(u.String())
	add(u.User.Username() + ":" + password)
	add(password)
	add(u.User.Username())
	add(u.RequestURI())
	for _, part := range strings.Split(u.Path, "/") {
		add(part)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			add(v)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
