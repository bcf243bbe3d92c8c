package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/lmittmann/tint"
)

// The exit codes of all commands.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// UsageError is a bad flag or value. The process exits with ExitUsage.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef formats a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}

// ErrChecked is returned by a daemon that only checks and could start.
var ErrChecked = errors.New("the check passed")

// ExitCode returns the exit code for err.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrChecked):
		return ExitDone
	case errors.As(err, &usage):
		return ExitUsage
	default:
		return ExitFailed
	}
}

// OSEnv returns the environment of this process.
func OSEnv(stderr io.Writer) (Env, error) {
	clock, err := ClockFrom(os.LookupEnv)
	if err != nil {
		return Env{}, err
	}
	level, _ := os.LookupEnv("LOG_LEVEL")
	log, err := Logger(stderr, level)
	if err != nil {
		return Env{}, err
	}
	return Env{Log: log, Lookup: Environment(), Clock: clock, Version: Version()}, nil
}

// Logger returns a logger that writes coloured lines to a terminal and JSON elsewhere. An empty level is info.
func Logger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if level != "" {
		if err := l.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("LOG_LEVEL: want debug, info, warn or error, got %q", level)
		}
	}
	if f, ok := w.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode()&os.ModeCharDevice != 0 {
			_, plain := os.LookupEnv("NO_COLOR")
			return slog.New(tint.NewTextHandler(w, &tint.Options{Level: l, TimeFormat: "15:04:05.000", NoColor: plain})), nil
		}
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// SignalContext returns a context that ends on the first SIGINT or SIGTERM, and on SIGHUP, which a
// terminal sends when it closes, unless SIGHUP is ignored (nohup). After that the signals have their
// default effect again, so a second one kills.
func SignalContext(parent context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
