package notifier

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"ratchet/pipeline/domain/notify"
)

// jsonType is what a webhook is sent unless its template is of another type.
const jsonType = "application/json"

// bodies makes the bodies of the messages to a webhook of the user's own: a notification, or what the template makes of
// it that the address names behind its #, which no request holds: https://HOST/…#template=FILE&type=text/plain.
func bodies(u *url.URL) (func(Message) (request, error), error) {
	if u.Fragment == "" {
		return func(m Message) (request, error) { return asJSON(m.notification()) }, nil
	}
	options, err := url.ParseQuery(u.Fragment)
	file := options.Get("template")
	if err != nil || file == "" {
		return nil, errors.New("want #template=FILE behind the address, and nothing else but &type=text/plain")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the user names it
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	t, err := template.New(filepath.Base(file)).Funcs(template.FuncMap{"json": quoted}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	f := form{Template: t, kind: cmp.Or(options.Get("type"), jsonType)}
	return f.request, f.tried()
}

// form is a template and the type of what it makes.
type form struct {
	*template.Template
	kind string
}

// quoted is a value as JSON, for the inside of a body.
func quoted(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

// request makes a message's body. What the template cannot make of one it makes of none later, so that is a refusal.
func (f form) request(m Message) (request, error) {
	body, err := f.body(m)
	if err != nil {
		return request{}, &refusal{outcome: notify.Refused, text: err.Error()}
	}
	return request{body: body, header: map[string]string{"Content-Type": f.kind}}, nil
}

func (f form) body(m Message) ([]byte, error) {
	raw, err := json.Marshal(m.notification())
	if err != nil {
		return nil, err
	}
	members := map[string]any{}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber() // keeps the digits of the message
	if err := in.Decode(&members); err != nil {
		return nil, err
	}
	members["subject"], members["plain"] = m.Subject(), plainText.render(m)
	var out bytes.Buffer
	if err := f.Execute(&out, members); err != nil {
		return nil, err
	}
	if f.kind == jsonType && !json.Valid(out.Bytes()) {
		return nil, fmt.Errorf("template %s: makes no JSON of this message: %.100s", f.Name(), out.String())
	}
	return out.Bytes(), nil
}

// tried makes a deal, a digest and an alarm, so that a template that fails is known before anything is found.
func (f form) tried() error {
	one := Example(time.Unix(0, 0))
	for _, m := range []Message{one, {Deals: append(one.Deals, one.Deals...)}, {Alarm: &notify.Alarm{Name: "engine", Text: `ClickHouse "does not" answer`}}} {
		if _, err := f.body(m); err != nil {
			return err
		}
	}
	return nil
}
