package main

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"ratchet/pipeline/daemon"
)

// fromEnvironment is the value of a flag that was not given: a secret's variable is no longer in the environment, and
// may be a file.
func fromEnvironment(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		value, ok, err := daemon.Lookup(daemon.Environment(), name)
		if ok || err != nil {
			return value, err
		}
	}
	return nil, nil //nolint:nilnil // kong's word for: not set
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
			return daemon.Usagef("%s: an address with a password, and every user of this system reads the arguments of a process; "+
				"give the address without it and the password in NATS_USER and NATS_PASSWORD_FILE or in CLICKHOUSE_PASSWORD_FILE, "+
				"or the whole address in NATS_URL_FILE, CLICKHOUSE_URL_FILE or --notify-file", cmp.Or(flag, "argument"))
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
func readEnv(args []string) error {
	at := slices.Index(args, "up")
	for i := at + 1; at >= 0 && i < len(args); i++ {
		flag, file, joined := strings.Cut(args[i], "=")
		if flag != "--env-file" {
			continue
		}
		if !joined {
			if i++; i == len(args) {
				return nil // the parser says what lacks
			}
			file = args[i]
		}
		if err := daemon.ReadEnv(file); err != nil {
			return err
		}
	}
	return nil
}
