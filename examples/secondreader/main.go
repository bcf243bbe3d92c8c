// Command secondreader is a consumer of one's own: it prints what was decided since
// a point in time and follows it from there, beside the daemons and without any effect on them.
//
//	go run ./examples/secondreader 24h 'verdict.*.*.reject.>'
//	go run ./examples/secondreader 1h 'survivor.*.peek.>'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: secondreader SINCE SUBJECT; NATS_URL is the address of NATS")
	}
	back, err := time.ParseDuration(os.Args[1])
	if err == nil {
		err = read(context.Background(), os.Getenv("NATS_URL"), os.Args[2], time.Now().Add(-back))
	}
	log.Fatal(err)
}

func read(ctx context.Context, url, subject string, from time.Time) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1)) // an empty URL is this machine
	if err != nil {
		return err
	}
	js, _ := jetstream.New(nc)
	stream, err := js.StreamNameBySubject(ctx, subject)
	if err != nil {
		return err
	}
	// An ordered consumer takes nothing from anybody and survives a restart of NATS.
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	for err == nil {
		var m jetstream.Msg
		if m, err = c.Next(jetstream.FetchMaxWait(time.Minute)); err != nil {
			continue
		}
		var v pipeline.Verdict // a survivor's first fields are the same
		err = json.Unmarshal(m.Data(), &v)
		if m.Headers().Get(pipeline.HeaderRunID) == pipeline.RunLive { // a replay has a name of its own
			fmt.Println(v.ASIN, v.Look, v.Outcome, v.Reason)
		}
	}
	return err
}
