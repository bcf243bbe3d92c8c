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

// post office: smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS, with STARTTLS where the server offers it, and
// smtps://HOST:465 with TLS from the start. A password is sent over TLS only, or to this machine.
type office struct {
	host, port string
	tls        bool
	user       *url.Userinfo
	from       *netmail.Address
	to         []*netmail.Address
}

func mail(u *url.URL) (Target, error) {
	o := office{host: u.Hostname(), port: u.Port(), tls: u.Scheme == "smtps", user: u.User}
	if o.port == "" {
		o.port = map[bool]string{true: "465", false: "587"}[o.tls]
	}
	var err error
	if o.from, err = netmail.ParseAddress(u.Query().Get("from")); err != nil {
		return Target{}, errors.New("from: want smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS")
	}
	if o.to, err = netmail.ParseAddressList(u.Query().Get("to")); err != nil {
		return Target{}, errors.New("to: want smtp://USER:PASSWORD@HOST:587/?from=ADDRESS&to=ADDRESS")
	}
	return Target{Kind: "mail", Where: u.Host, send: o.send}, nil
}

// send hands the message to the mail server. Only its word on the message is final: a wrong password may be corrected.
func (o office) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	c, err := o.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // after Quit it is closed already
	if err := o.enter(c); err != nil {
		return err
	}
	left, err := o.hand(c, m)
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
func (o office) dial(ctx context.Context) (*smtp.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(o.host, o.port))
	if err != nil {
		return nil, err
	}
	if o.tls {
		conn = tls.Client(conn, &tls.Config{ServerName: o.host, MinVersion: tls.VersionTLS12})
	}
	over, _ := ctx.Deadline()
	c, err := (*smtp.Client)(nil), conn.SetDeadline(over)
	if err == nil {
		c, err = smtp.NewClient(conn, o.host)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return c, nil
}

// enter secures the connection and logs in.
func (o office) enter(c *smtp.Client) error {
	if starts, _ := c.Extension("STARTTLS"); starts && !o.tls {
		if err := c.StartTLS(&tls.Config{ServerName: o.host, MinVersion: tls.VersionTLS12}); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if o.user == nil {
		return nil
	}
	password, _ := o.user.Password()
	if err := c.Auth(smtp.PlainAuth("", o.user.Username(), password, o.host)); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// hand hands over one message. left is why a recipient was left out, the first of them.
func (o office) hand(c *smtp.Client, m Message) (left, err error) {
	if err := c.Mail(o.from.Address); err != nil {
		return nil, err
	}
	if left, err = o.address(c); err != nil {
		return nil, err
	}
	w, err := c.Data()
	if err != nil {
		return nil, err
	}
	body, err := o.letter(m, process.MachineNow())
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	return left, w.Close()
}

// address names the recipients. One that the server refuses for good is left out, as long as another gets the message.
func (o office) address(c *smtp.Client) (left, err error) {
	var refused []error
	for _, to := range o.to {
		err := c.Rcpt(to.Address)
		if r, ok := errors.AsType[*textproto.Error](err); ok && notify.OfReply(r.Code) == notify.Refused {
			refused = append(refused, err)
		} else if err != nil {
			return nil, err
		}
	}
	if len(refused) == len(o.to) {
		return nil, refused[0]
	}
	if len(refused) > 0 {
		left = refused[0]
	}
	return left, nil
}

// letter is the message as mail. Its Message-ID is the same in a repeat, so that a mailbox may drop one.
func (o office) letter(m Message, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	to := make([]string, len(o.to))
	for i, a := range o.to {
		to[i] = a.String()
	}
	for _, h := range [][2]string{
		{"From", o.from.String()},
		{"To", strings.Join(to, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", o.subject(m))},
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
func (o office) subject(m Message) string {
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
