package bus_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

func TestManyReadersOfLargeMessagesGetEachOfThem(t *testing.T) {
	t.Parallel()
	b := open(t)
	const stored = 128
	var ms []bus.Message
	for i := range stored {
		ms = append(ms, bus.Message{
			Subject: pipeline.SubjectResponse(1, pipeline.KindPeek, fmt.Sprintf("B%09d", i)), Schema: pipeline.SchemaResponse,
			ID: fmt.Sprint(i), Body: make([]byte, 100_000),
		})
	}
	if err := b.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	fetcher, err := b.Fetcher(t.Context(), pipeline.StreamResponses)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for seq := range uint64(stored) {
		seqs = append(seqs, seq+1)
	}
	// A full connection makes the server end a batch before its first message.
	var readers errgroup.Group
	for range 12 {
		readers.Go(func() error {
			got, err := fetcher.Read(t.Context(), seqs)
			if err == nil && len(got) != stored {
				err = fmt.Errorf("%d of %d messages", len(got), stored)
			}
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
}
