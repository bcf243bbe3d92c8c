package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
)

// retryRows publishes the rows in the letter of a row or of a page of the deal list as candidates, as far as this build
// can decode them. No decision exists for them, so their ids equal those of rows that the list offers again.
func retryRows(ctx context.Context, b *bus.Bus, l Letter) (string, error) {
	bad := func(err error) (string, error) { return "", fmt.Errorf("retry letter %d: %w", l.Sequence, err) }
	rows, seen, err := rowsOf(ctx, b, l)
	if err != nil {
		return bad(err)
	}
	head := func(name string) string { return strings.Join(l.Dead.Header[name], "") }
	domain, err := strconv.Atoi(head(pipeline.HeaderDomain))
	if err != nil {
		return bad(fmt.Errorf("header %s: %w", pipeline.HeaderDomain, err))
	}
	priceType, err := strconv.Atoi(head(pipeline.HeaderPriceType))
	if err != nil {
		return bad(fmt.Errorf("header %s: %w", pipeline.HeaderPriceType, err))
	}
	subject := ""
	for _, row := range rows {
		if !pipeline.ValidASIN(row.ASIN) || row.CreationDate <= 0 {
			continue
		}
		id := pipeline.Identity{Domain: domain, ASIN: row.ASIN, PriceType: priceType, CreationDate: int64(row.CreationDate)}
		m := messages.Candidate("candidate", id.WorkID(pipeline.FirstGeneration), pipeline.Candidate{
			Identity: id, Queries: []string{head(pipeline.HeaderQuery)}, Source: pipeline.SourceRetry, ListSeenAt: seen, Row: row.Raw,
		})
		m.Header = map[string]string{pipeline.HeaderOrigin: messages.Origin(pipeline.StreamDead, l.Sequence)}
		if _, err := b.Publish(ctx, m); err != nil {
			return bad(err)
		}
		subject = m.Subject
	}
	if subject == "" {
		return bad(fmt.Errorf("this build cannot read it either: %s", l.Dead.Error))
	}
	return subject, nil
}

// rowsOf decodes the letter's row, or the stored page that it names, and returns when it was listed.
func rowsOf(ctx context.Context, b *bus.Bus, l Letter) ([]keepa.DealRow, time.Time, error) {
	at, err := time.Parse(time.RFC3339, l.At)
	if err != nil {
		at = time.Now().UTC()
	}
	if l.Dead.Stream == pipeline.StreamResponses {
		a, err := responses.Load(ctx, b, strconv.FormatUint(l.Dead.Sequence, 10))
		if err != nil {
			return nil, at, err
		}
		if a == nil {
			return nil, at, fmt.Errorf("answer %d has left %s; the list is read again at its next poll", l.Dead.Sequence, pipeline.StreamResponses)
		}
		page, err := keepa.DecodeDealPage(a.Body)
		return page.Rows, a.AnsweredAt, err
	}
	if len(l.Dead.Body) == 0 {
		return nil, at, errors.New("the letter holds no row; the list is read again at its next poll")
	}
	row, err := keepa.DecodeDealRow(l.Dead.Body)
	return []keepa.DealRow{row}, at, err
}
