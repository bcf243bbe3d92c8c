package main

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
)

// fromEnvironment returns the value of a flag that was not given: a secret's variable is no longer in the
// environment, and may be a file.
func fromEnvironment(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		value, ok, err := process.Lookup(process.Environment(), name)
		if ok || err != nil {
			return value, err
		}
	}
	return nil, nil //nolint:nilnil // kong's word for: not set
}

// fromRunning is fromEnvironment, except that a NATS or ClickHouse URL which is set nowhere defaults to that of the
// running `up`.
func fromRunning(args []string) kong.ResolverFunc {
	return func(c *kong.Context, p *kong.Path, flag *kong.Flag) (any, error) {
		value, err := fromEnvironment(c, p, flag)
		if value != nil || err != nil || flag.Name != "nats-url" && flag.Name != "clickhouse-url" {
			return value, err
		}
		data, running, ok := findRunning(args)
		user, found := natsd.User, running.NATS
		if flag.Name == "clickhouse-url" {
			user, found = "default", running.ClickHouse
		}
		if !ok || found == "" {
			return nil, nil //nolint:nilnil // the default stands
		}
		return standalone.Credentials(found, user, data), nil
	}
}

// findRunning is the `up` that a command asks: of --up-data, else of the user's own data directory.
func findRunning(args []string) (data string, r standalone.Running, ok bool) {
	data = argument(args, "--up-data")
	if data == "" {
		var err error
		if data, err = standalone.DefaultData(); err != nil {
			return "", r, false
		}
	}
	r, ok = standalone.FindRunning(data)
	return data, r, ok
}

// argument returns the value of a flag; "" if absent.
func argument(args []string, name string) string {
	for i, arg := range args {
		flag, value, joined := strings.Cut(arg, "=")
		switch {
		case flag != name:
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// noPasswords refuses arguments that hold a password: every user of this system reads the arguments of a process.
func noPasswords(args []string) error {
	before := ""
	for _, arg := range args {
		flag, value, joined := strings.Cut(arg, "=")
		if !joined || !strings.HasPrefix(flag, "--") {
			flag, value = before, arg
		}
		if holdsPassword(flag, value) {
			return process.Usagef("%s: an address with a password, and every user of this system reads the arguments of a process; "+
				"give the address without it and the password in NATS_USER and NATS_PASSWORD_FILE or in CLICKHOUSE_PASSWORD_FILE, "+
				"or the whole address in NATS_URL_FILE, CLICKHOUSE_URL_FILE or NOTIFY_TARGETS_FILE", cmp.Or(flag, "argument"))
		}
		before = ""
		if strings.HasPrefix(arg, "--") && !joined {
			before = arg
		}
	}
	return nil
}

// holdsPassword reports whether one of the addresses in a value holds a password or, as NATS takes them, a token.
func holdsPassword(flag, value string) bool {
	ofNATS := flag == "--nats-url"
	if !ofNATS && !strings.Contains(value, "://") || strings.ContainsAny(value, " \t\n'\"`") {
		return false // SQL, a query, a path
	}
	for address := range strings.SplitSeq(value, ",") {
		if ofNATS && !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		_, rest, _ := strings.Cut(address, "://")
		host, _, _ := strings.Cut(rest, "/")
		u, err := url.Parse(address)
		if err != nil {
			return strings.Contains(host, "@") // what cannot be read may hold one too
		}
		_, has := u.User.Password()
		if has || u.Query().Has("password") || ofNATS && u.User != nil {
			return true
		}
	}
	return false
}

// readEnv reads the file of `up --env-file` before the flags, which take their defaults from the environment.
func readEnv(args []string, warnings io.Writer) error {
	at := slices.Index(args, "up")
	file := argument(args[at+1:], "--env-file")
	if at < 0 || file == "" {
		return nil
	}
	return process.ReadEnv(file, warnings)
}
