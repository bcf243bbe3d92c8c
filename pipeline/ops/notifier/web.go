package notifier

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/platform/process"
)

// Each of these services is one POST. The library for all of them hides the status and Retry-After, and its errors
// repeat the address.

// sendWithin bounds one request.
const sendWithin = 15 * time.Second

// client is that of all web services. A redirected POST would arrive as a GET and look like success.
var client = &http.Client{
	Timeout:       sendWithin,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request is one POST.
type request struct {
	body   []byte
	header map[string]string
}

// posting sends each message as one POST.
func posting(address string, make func(Message) (request, error)) func(context.Context, Message) error {
	return func(ctx context.Context, m Message) error {
		r, err := make(m)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(r.body))
		if err != nil {
			return errors.New("make a request of the address")
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("User-Agent", "ratchet/"+process.Version())
		req.Header.Set("Idempotency-Key", m.Key)
		for name, value := range r.header {
			req.Header.Set(name, value)
		}
		return post(req)
	}
}

// post sends a request and reads the answer, so that the connection serves again.
func post(req *http.Request) error {
	res, err := client.Do(req)
	if err != nil {
		if named, ok := errors.AsType[*url.Error](err); ok {
			err = named.Err // without the address, which holds a secret
		}
		return err
	}
	defer func() { _ = res.Body.Close() }()                 // nothing was written that a close could lose
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what was read is enough
	if outcome := notify.OfStatus(res.StatusCode); outcome != notify.Sent {
		return &refusal{
			outcome: outcome, after: asked(res.Header.Get("Retry-After"), body, process.MachineNow()),
			text: fmt.Sprintf("%d %s", res.StatusCode, cmp.Or(strings.TrimSpace(reason(body)), http.StatusText(res.StatusCode))),
		}
	}
	return nil
}

// answer has the members in which services describe a failure.
type answer struct {
	Description string   `json:"description"` // Telegram
	Message     string   `json:"message"`     // Discord
	Error       string   `json:"error"`       // ntfy
	Errors      []string `json:"errors"`      // Pushover
	RetryAfter  float64  `json:"retry_after"` // Discord, seconds
	Parameters  struct {
		RetryAfter float64 `json:"retry_after"` // Telegram, seconds
	} `json:"parameters"`
}

func answerOf(body []byte) (a answer, ok bool) {
	err := json.Unmarshal(body, &a)
	return a, err == nil
}

// reason returns an answer's description of a failure.
func reason(body []byte) string {
	a, ok := answerOf(body)
	if !ok {
		return string(body) // Slack's is plain text; it is cut when shown
	}
	return cmp.Or(a.Description, a.Message, a.Error, strings.Join(a.Errors, ", "))
}

// asked is how long an answer asks to wait: the header in seconds or as a date, or a member of the body.
func asked(header string, body []byte, now time.Time) time.Duration {
	seconds := func(s float64) time.Duration { return time.Duration(min(max(s, 0), 1e6) * float64(time.Second)) }
	if s, err := strconv.ParseFloat(header, 64); err == nil {
		return seconds(s)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	a, _ := answerOf(body)
	return seconds(cmp.Or(a.RetryAfter, a.Parameters.RetryAfter))
}

func asJSON(v any) (request, error) {
	body, err := json.Marshal(v)
	return request{body: body}, err
}

// web is an address as a service gives it: Slack's and Discord's are known by their hosts, any other is a webhook of
// the user's own.
func web(u *url.URL) (Target, error) {
	switch {
	case u.Fragment == "":
	case u.Hostname() == "hooks.slack.com", u.Hostname() == "discord.com", u.Hostname() == "discordapp.com":
		return Target{}, errors.New("only a webhook of your own has a template")
	}
	switch {
	case u.Hostname() == "hooks.slack.com":
		return slack(u)
	case u.Hostname() == "discord.com" || u.Hostname() == "discordapp.com":
		return discord(u)
	}
	body, err := bodies(u)
	if err != nil {
		return Target{}, err
	}
	at := *u
	at.Fragment = ""
	return Target{Kind: "webhook", Where: u.Host, send: posting(at.String(), body)}, nil
}

// bare is the address without the service before its scheme.
func bare(u *url.URL, service string) string {
	out := *u
	out.Scheme = strings.TrimPrefix(u.Scheme, service+"+")
	return out.String()
}

func slack(u *url.URL) (Target, error) {
	return Target{Kind: "slack", Where: u.Host, send: posting(bare(u, "slack"), func(m Message) (request, error) {
		return asJSON(map[string]any{"text": slackText.render(m), "unfurl_links": false, "unfurl_media": false})
	})}, nil
}

func discord(u *url.URL) (Target, error) {
	return Target{Kind: "discord", Where: u.Host, send: posting(bare(u, "discord"), func(m Message) (request, error) {
		return asJSON(map[string]any{"content": discordText.render(m), "allowed_mentions": noMentions})
	})}, nil
}

// apiOf is the address of a service, unless ?api= names another.
func apiOf(u *url.URL, usual string) (string, error) {
	api := strings.TrimSuffix(cmp.Or(u.Query().Get("api"), usual), "/")
	if at, err := url.Parse(api); err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" {
		return "", errors.New("api: want an address like https://host")
	}
	return api, nil
}

func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// telegram is telegram://TOKEN@telegram?chats=CHAT: a bot's token, which has a colon in it, and a chat or @channel.
func telegram(u *url.URL) (Target, error) {
	api, err := apiOf(u, "https://api.telegram.org")
	token, chat := u.User.String(), u.Query().Get("chats")
	if err == nil && (token == "" || chat == "" || strings.Contains(chat, ",")) {
		err = errors.New("want telegram://TOKEN@telegram?chats=CHAT, with one chat a line")
	}
	return Target{Kind: "telegram", Where: hostOf(api) + " chat " + chat, send: posting(api+"/bot"+token+"/sendMessage", func(m Message) (request, error) {
		return asJSON(map[string]any{
			"chat_id": chat, "text": telegramText.render(m), "parse_mode": "HTML", "link_preview_options": map[string]bool{"is_disabled": true},
		})
	})}, err
}

// ntfy is ntfy://[USER:PASSWORD@|:TOKEN@]HOST/TOPIC.
func ntfy(u *url.URL) (Target, error) {
	topic := strings.Trim(u.Path, "/")
	if topic == "" || strings.Contains(topic, "/") {
		return Target{}, errors.New("want ntfy://HOST/TOPIC, with USER:PASSWORD@ or :TOKEN@ before the host if it needs one")
	}
	scheme := "https"
	if u.Scheme == "ntfy+http" {
		scheme = "http"
	}
	password, _ := u.User.Password()
	return Target{Kind: "ntfy", Where: u.Host, send: posting(scheme+"://"+u.Host+"/", func(m Message) (request, error) {
		r, err := asJSON(map[string]any{"topic": topic, "title": m.Subject(), "message": plainText.upTo(4000).render(m)})
		r.header = map[string]string{}
		switch name := u.User.Username(); {
		case name != "":
			basic := &http.Request{Header: http.Header{}}
			basic.SetBasicAuth(name, password)
			r.header["Authorization"] = basic.Header.Get("Authorization")
		case password != "":
			r.header["Authorization"] = "Bearer " + password
		}
		return r, err
	})}, nil
}

// pushover is pushover://TOKEN@USER: the application's token and the user's key.
func pushover(u *url.URL) (Target, error) {
	api, err := apiOf(u, "https://api.pushover.net")
	token, user := u.User.Username(), u.Host
	if p, has := u.User.Password(); has {
		token = p // pushover://shoutrrr:TOKEN@USER, as others write it
	}
	if err == nil && token == "" {
		err = errors.New("want pushover://TOKEN@USER")
	}
	t := Target{Kind: "pushover", Where: hostOf(api), send: posting(api+"/1/messages.json", func(m Message) (request, error) {
		return asJSON(map[string]any{"token": token, "user": user, "title": m.Subject(), "message": plainText.upTo(1024).render(m)})
	})}
	return t, err
}
