package notifier

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/platform/process"
)

// mailer sends by SMTP: smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS, with STARTTLS where the server offers
// it, and smtps://HOST:465 with TLS from the start. A password is sent over TLS only, or to this machine.
type mailer struct {
	host, port string
	tls        bool
	user       *url.Userinfo
	from       *netmail.Address
	to         []*netmail.Address
}

func mail(u *url.URL) (Target, error) {
	s := mailer{host: u.Hostname(), port: u.Port(), tls: u.Scheme == "smtps", user: u.User}
	if s.port == "" {
		s.port = map[bool]string{true: "465", false: "587"}[s.tls]
	}
	var err error
	if s.from, err = netmail.ParseAddress(u.Query().Get("from")); err != nil {
		return Target{}, errors.New("from: want smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS")
	}
	if s.to, err = netmail.ParseAddressList(u.Query().Get("to")); err != nil {
		return Target{}, errors.New("to: want smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS")
	}
	return Target{Kind: "mail", Where: u.Host, send: s.send}, nil
}

// send hands the message to the mail server. Only its word on the message is final: a wrong password may be corrected.
func (s mailer) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // after Quit it is closed already
	if err := s.enter(c); err != nil {
		return err
	}
	left, err := s.hand(c, m)
	if err != nil {
		return ofReply(err)
	}
	_ = c.Quit() // the message is taken
	if left != nil {
		return &refusal{outcome: notify.Sent, text: ofReply(left).Error()}
	}
	return nil
}

// dial connects; the connection ends with ctx.
func (s mailer) dial(ctx context.Context) (*smtp.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return nil, err
	}
	if s.tls {
		conn = tls.Client(conn, &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12})
	}
	over, _ := ctx.Deadline()
	c, err := (*smtp.Client)(nil), conn.SetDeadline(over)
	if err == nil {
		c, err = smtp.NewClient(conn, s.host)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return c, nil
}

// enter secures the connection and logs in.
func (s mailer) enter(c *smtp.Client) error {
	if starts, _ := c.Extension("STARTTLS"); starts && !s.tls {
		if err := c.StartTLS(&tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if s.user == nil {
		return nil
	}
	password, _ := s.user.Password()
	if err := c.Auth(smtp.PlainAuth("", s.user.Username(), password, s.host)); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// hand hands over one message. left is why a recipient was left out, the first of them.
func (s mailer) hand(c *smtp.Client, m Message) (left, err error) {
	if err := c.Mail(s.from.Address); err != nil {
		return nil, err
	}
	if left, err = s.address(c); err != nil {
		return nil, err
	}
	w, err := c.Data()
	if err != nil {
		return nil, err
	}
	body, err := s.letter(m, process.MachineNow())
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	return left, w.Close()
}

// address names the recipients. One that the server refuses for good is left out, as long as another gets the message.
func (s mailer) address(c *smtp.Client) (left, err error) {
	var refused []error
	for _, to := range s.to {
		err := c.Rcpt(to.Address)
		if r, ok := errors.AsType[*textproto.Error](err); ok && notify.OfReply(r.Code) == notify.Refused {
			refused = append(refused, err)
		} else if err != nil {
			return nil, err
		}
	}
	if len(refused) == len(s.to) {
		return nil, refused[0]
	}
	if len(refused) > 0 {
		left = refused[0]
	}
	return left, nil
}

// letter is the message as mail. Its Message-ID is the same in a repeat, so that a mailbox may drop one.
func (s mailer) letter(m Message, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	to := make([]string, len(s.to))
	for i, a := range s.to {
		to[i] = a.String()
	}
	for _, h := range [][2]string{
		{"From", s.from.String()},
		{"To", strings.Join(to, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", s.subject(m))},
		{"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.Key + "@ratchet>"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
	}
	out.WriteString("\r\n")
	w := quotedprintable.NewWriter(&out)
	if _, err := w.Write([]byte(strings.ReplaceAll(plainText.render(m), "\n", "\r\n") + "\r\n")); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// subject names the deal if the mail is about one.
func (s mailer) subject(m Message) string {
	if len(m.Deals) == 1 && !m.Test {
		return m.Subject() + ": " + m.Deals[0].Title.Short(60).Plain()
	}
	return m.Subject()
}

// ofReply is a mail server's word on a message.
func ofReply(err error) error {
	if r, ok := errors.AsType[*textproto.Error](err); ok {
		return &refusal{outcome: notify.OfReply(r.Code), text: fmt.Sprintf("%d %s", r.Code, r.Msg)}
	}
	return err
}
