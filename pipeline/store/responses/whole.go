package responses

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

const (
	// mostPacked is how large a message's body may be: what the server takes, less its headers.
	mostPacked = 7 << 20
	// mostElement is how large a product or seller may be before it is packed.
	mostElement = 64 << 20
)

// PutWhole stores all bytes of an answer under its call, in as many messages as they need: where a part of it cannot be
// told apart or read, they are what a later build reads again.
func PutWhole(ctx context.Context, b *bus.Bus, a Answer) error {
	if len(a.Body) == 0 {
		return nil
	}
	parts := slices.Collect(slices.Chunk(Pack(a.Body), mostPacked))
	for i, part := range parts {
		call := a.RequestID
		if i > 0 {
			call = fmt.Sprintf("%s-%d", call, i+1)
		}
		header := a.header()
		header[pipeline.HeaderPart] = fmt.Sprintf("%d/%d", i+1, len(parts))
		_, err := b.Publish(ctx, bus.Message{
			Subject: pipeline.SubjectWhole(a.Domain, call), Schema: pipeline.SchemaResponse, ID: "whole:" + call, Body: part, Header: header,
		})
		if err != nil {
			return fmt.Errorf("store the whole answer of call %s: %w", a.RequestID, err)
		}
	}
	return nil
}

// Fit is a body that one message holds. One that does not fit costs itself alone: a text stands for it, which nobody
// can read as a product, and its bytes are in the whole answer.
func Fit(body []byte) (fit []byte, fits bool) {
	if len(body) <= mostElement && (len(body) <= mostPacked || len(Pack(body)) <= mostPacked) {
		return body, true
	}
	return fmt.Appendf(nil, "%q", fmt.Sprintf("%d bytes, more than one message holds", len(body))), false
}

// header is what a stored answer says beside its body.
func (a Answer) header() map[string]string {
	h := map[string]string{
		pipeline.HeaderKind: string(a.Kind), pipeline.HeaderRequest: a.Request, pipeline.HeaderRequestID: a.RequestID,
		pipeline.HeaderCost: strconv.Itoa(a.Cost), pipeline.HeaderAnsweredAt: a.AnsweredAt.Format(pipeline.TimeFormat),
		pipeline.HeaderEncoding: "zstd",
	}
	if a.Position > 0 {
		h[pipeline.HeaderPosition] = strconv.Itoa(a.Position)
	}
	return h
}

// Place names an answer for people: its call and its position there, and the command that prints what came.
func (a Answer) Place() string { return Place(a.RequestID, a.Position) }

// Place names a position in the answer to a call for people, and the command that prints what came.
func Place(call string, position int) string {
	return fmt.Sprintf("call %s, position %d, `ratchet answer %s`", call, position, strings.TrimSuffix(call, ".s"))
}
