// Command mutants plants the kept list of errors, one at a time, and reports those
// that no test notices:
//
//	go run ./test/mutants [-j 2] [-third 0|1|2] [-only TEXT] [-find TESTS]
//
// An entry stands for a kind of error that costs a user tokens, deals, money or
// truth. Code that moves takes its entries along; an entry that no longer means
// anything is replaced, not dropped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(ctx context.Context) error {
	many := flag.Int("j", 2, "how many at the same time")
	third := flag.Int("third", -1, "every third entry, from the one with this index on: 0 to 2")
	only := flag.String("only", "", "only entries whose file, words or test contain this")
	find := flag.String("find", "", "run the tests that match this pattern instead, and print those that notice")
	timeout := flag.Duration("timeout", 4*time.Minute, "of the test of one entry")
	flag.Parse()
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	all, err := Read(filepath.Join(root, "test", "mutants", "kept"))
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m Mutant) bool {
		return !strings.Contains(strings.Join([]string{m.Where, m.File, m.What, m.Test, m.Pkg}, "\n"), *only)
	})
	switch *third {
	case -1:
	case 0, 1, 2:
		all = everyThird(all, *third)
	default:
		return fmt.Errorf("-third: want 0 to 2, got %d", *third)
	}
	s := sweep{runner: Runner{Root: root, Timeout: *timeout}, many: *many, find: *find}
	return s.over(ctx, all)
}

// everyThird returns every third entry, from the one with this index on.
func everyThird(all []Mutant, from int) []Mutant {
	var out []Mutant
	for i := from; i < len(all); i += 3 {
		out = append(out, all[i])
	}
	return out
}

// sweep runs a list, several entries at the same time.
type sweep struct {
	runner Runner
	many   int
	find   string

	mu             sync.Mutex
	done           int
	killed, own    int
	second         int
	survived, errs []string
}

func (s *sweep) over(ctx context.Context, all []Mutant) error {
	began := time.Now()
	if s.find == "" {
		if err := Check(s.runner.Root, all); err != nil {
			return err
		}
		s.each(len(packages(all)), func(i int) {
			if err := s.runner.Clean(ctx, packages(all)[i], testsIn(all, packages(all)[i])); err != nil {
				s.fail(err)
			}
		})
	}
	if len(s.errs) == 0 {
		s.each(len(all), func(i int) {
			if o := s.runner.Run(ctx, all[i], s.find); ctx.Err() == nil {
				s.count(o, len(all))
			}
		})
	}
	fmt.Printf("%d planted, %d killed, %d by the package's own tests, %d need a second event; %s\n",
		len(all), s.killed, s.own, s.second, time.Since(began).Round(time.Second))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(s.errs) > 0:
		return errors.New(strings.Join(s.errs, "\n"))
	case len(s.survived) > 0:
		return fmt.Errorf("no test noticed:\n%s", strings.Join(s.survived, "\n"))
	case s.killed == 0:
		return errors.New("nothing was planted")
	}
	return nil
}

// each calls f with 0 to n-1, several at the same time.
func (s *sweep) each(n int, f func(int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range max(1, s.many) {
		all.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

func (s *sweep) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err.Error())
}

// count takes in an outcome and prints it.
func (s *sweep) count(o Outcome, of int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	word, by := "killed", o.Test
	switch {
	case o.Err != nil:
		s.errs = append(s.errs, o.Err.Error())
		word, by = "ERROR", o.Err.Error()
	case s.find != "" && len(o.Failed) > 0:
		by = strings.Join(o.Failed, " ")
		s.killed++
	case o.Killed():
		s.killed++
		if o.Own() {
			s.own++
		}
	default:
		s.survived = append(s.survived, fmt.Sprintf("%s: %s (%s)", o.Where, o.What, o.Test))
		word = "SURVIVED"
	}
	if o.Second != "" {
		s.second++
	}
	fmt.Printf("%d/%d %s %s: %s [%s] %.1f s\n", s.done, of, word, o.Where, o.What, by, o.Took.Seconds())
}

// packages are those whose tests the list needs.
func packages(all []Mutant) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.Pkg)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// testsIn are the tests of a package that the list names.
func testsIn(all []Mutant, pkg string) []string {
	var out []string
	for _, m := range all {
		if m.Pkg == pkg {
			out = append(out, m.Test)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
