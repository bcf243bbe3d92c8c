package main

import (
	"context"
	"fmt"
	"regexp"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/responses"
)

type answerCmd struct {
	natsFlags `embed:""`
	ID        string `arg:"" help:"The id of a call or of a unit of work, as dead letters name it."`
}

var answerID = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Run prints the stored bytes as they came, each answer on lines of its own, and on standard error what each is.
func (c answerCmd) Run(a *app) error {
	if !answerID.MatchString(c.ID) {
		return process.Usagef("answer: %q is not the ID of a call or of work; `ratchet dead show N` shows both", c.ID)
	}
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		all, err := responses.AnswersTo(ctx, b, c.ID)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("nothing is stored for %s: no answer came, or RESPONSES has deleted it", c.ID)
		}
		for _, one := range all {
			fmt.Fprintf(a.errOut, "RESPONSES #%s: call %s for %d tokens, position %d, %d bytes of %s\n", one.ID, one.RequestID, one.Cost, one.Position, len(one.Body), one.Request)
			fmt.Fprintf(a.out, "%s\n", one.Body)
		}
		return nil
	})
}
