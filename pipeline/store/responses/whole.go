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
	// mostPacked is the largest body of a message: the server's limit less the headers.
	mostPacked = 7 << 20
	// mostElement is the largest product or seller before packing.
	mostElement = 64 << 20
)

// PutWhole stores all bytes of an answer under its call, in as many messages as they
// need, if a part of it cannot be split off or read. A later build can decode them again.
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

// Fit returns a body that one message can hold. One that is too large is replaced by a text that no
// decoder reads as a product; its bytes are in the whole answer, and the other elements are unaffected.
func Fit(body []byte) (fit []byte, fits bool) {
	if len(body) <= mostElement && (len(body) <= mostPacked || len(Pack(body)) <= mostPacked) {
		return body, true
	}
	return fmt.Appendf(nil, "%q", fmt.Sprintf("%d bytes, more than one message holds", len(body))), false
}

// header returns the headers of a stored answer.
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

// Place describes an answer in text for people: its call, its index there, and the command that prints it.
func (a Answer) Place() string { return Place(a.RequestID, a.Position) }

// Place describes an index in the answer to a call in text for people, with the command that prints it.
func Place(call string, position int) string {
	return fmt.Sprintf("call %s, position %d, `ratchet answer %s`", call, position, strings.TrimSuffix(call, ".s"))
}
