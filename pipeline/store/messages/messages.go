// Package messages reads and writes the messages of decisions: candidates and survivors are read; survivors,
// deals and verdicts are written, and lines of the ledger. Live daemons and replays share it; it uses neither claims
// nor Keepa.
package messages

import (
	"encoding/json"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
)

// Work decodes a candidate or a survivor from a message's headers and body.
func Work(schema string, header map[string][]string, body []byte) (decide.Work, error) {
	return work(schema, header, func(s *pipeline.Survivor) error { return json.Unmarshal(body, s) })
}

// Decided decodes a survivor that was decided before. Its row, most of
// the message, was validated as JSON then and is not validated again.
func Decided(header map[string][]string, body []byte) (decide.Work, error) {
	return work(pipeline.SchemaSurvivor, header, func(s *pipeline.Survivor) error { return allButRow(body, s) })
}

// allButRow decodes a survivor and keeps its row as raw JSON.
func allButRow(body []byte, s *pipeline.Survivor) error {
	rest := append(make([]byte, 0, 1024), '{')
	var row []byte
	err := Members(body, func(name, value []byte) error {
		if string(name) == "row" {
			row = value
			return nil
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(append(append(rest, '"'), name...), '"', ':')
		rest = append(rest, value...)
		return nil
	})
	if err != nil {
		return err
	}
	err = json.Unmarshal(append(rest, '}'), s)
	s.Row = row
	return err
}

func work(schema string, header map[string][]string, decode func(*pipeline.Survivor) error) (decide.Work, error) {
	head := loop.Item{Header: header}
	w := decide.Work{ID: head.Head(pipeline.HeaderWorkID)}
	if got := head.Head(pipeline.HeaderSchema); got != schema {
		return w, fmt.Errorf("schema is %q, want %s", got, schema)
	}
	if w.ID == "" {
		return w, fmt.Errorf("header %s is missing", pipeline.HeaderWorkID)
	}
	if err := decode(&w.Survivor); err != nil {
		return w, fmt.Errorf("decode %s: %w", schema, err)
	}
	if !pipeline.ValidASIN(w.Survivor.ASIN) {
		return w, fmt.Errorf("%q is not an ASIN", w.Survivor.ASIN)
	}
	var err error
	if w.Row, err = keepa.DecodeDealRow(w.Survivor.Row); err != nil {
		return w, fmt.Errorf("decode row of %s: %w", w.Survivor.ASIN, err)
	}
	return w, nil
}

// Origin identifies a message as STREAM/SEQUENCE.
func Origin(stream string, sequence uint64) string { return fmt.Sprintf("%s/%d", stream, sequence) }

// Verdict returns the message for a verdict; its ID is the verdict's
// identity within the run. origin identifies the message that was decided.
func Verdict(run, workID, origin string, v pipeline.Verdict) bus.Message {
	m := must(bus.Encode(pipeline.SubjectVerdict(v.Domain, v.Look, v.Outcome, v.ASIN), pipeline.SchemaVerdict,
		v.ID(run, workID), workID, v))
	m.Run = run
	if origin != "" {
		m.Header = map[string]string{pipeline.HeaderOrigin: origin}
	}
	return m
}

// Deal returns the message for the deal of an accepting live verdict.
func Deal(workID string, v pipeline.Verdict) bus.Message {
	return bus.Message{
		Subject: pipeline.SubjectDeal(v.Domain, v.PriceType, v.ASIN), Schema: pipeline.SchemaDeal,
		ID: "deal:" + workID, WorkID: workID, Body: v.Deal,
	}
}

// Survivor returns the survivor that v lets through to the next look, on its lane.
func Survivor(w decide.Work, v pipeline.Verdict, lane string) bus.Message {
	s := w.Survivor
	s.Look, s.RuleSet, s.Tier, s.ExpectedValueCents = v.Look, v.RuleSet, v.Tier, v.ExpectedValueCents
	s.TokensSpent, s.ResponseIDs = v.TokensSpent, v.ResponseIDs
	return must(bus.Encode(pipeline.SubjectSurvivor(v.Domain, v.Look, lane, v.ASIN), pipeline.SchemaSurvivor,
		"survivor:"+v.ID(pipeline.RunLive, w.ID), w.ID, s))
}

// Candidate returns work that is offered again, for the reason
// in its source. scope precedes the Work-Id in the message's ID.
func Candidate(scope, workID string, c pipeline.Candidate) bus.Message {
	return must(bus.Encode(pipeline.SubjectCandidate(c.Domain, c.Source, c.ASIN), pipeline.SchemaCandidate,
		scope+":"+workID, workID, c))
}

// must panics on an impossible error: our own structs always encode.
func must(m bus.Message, err error) bus.Message {
	if err != nil {
		panic(err)
	}
	return m
}
