package canary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
)

// absent fails the test where the key is in what was found somewhere, and reports whether it is not.
func absent(t *testing.T, where string, found []byte) bool {
	t.Helper()
	at := bytes.Index(found, []byte(canary))
	if at >= 0 {
		t.Errorf("the key is in %s: …%q…", where, found[max(0, at-200):min(len(found), at+100)])
	}
	return at < 0
}

// errFound ends the reading of a stream at its first message with the key.
var errFound = errors.New("the key was found")

// absentFromFiles looks through every file below a directory, and says how many bytes there were.
func absentFromFiles(t *testing.T, dir string) (size int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // an engine that still runs removes files
		}
		body, err := os.ReadFile(path)
		if err == nil {
			size += len(body)
			absent(t, path, append([]byte(path), body...))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// zstd is how a compressed body begins.
const zstd = "\x28\xb5\x2f\xfd"

// absentFromStreams reads every message of every stream and bucket back, unpacked, and returns how often [secret]
// stands in them.
func absentFromStreams(t *testing.T, b *bus.Bus) (scrubbed int) {
	t.Helper()
	names := b.JS.StreamNames(t.Context())
	for stream := range names.Name() {
		if err := b.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error {
			body := r.Body
			if bytes.HasPrefix(body, []byte(zstd)) {
				var err error
				if body, err = responses.Unpack(body); err != nil {
					return err
				}
			}
			scrubbed += bytes.Count(body, []byte("[secret]"))
			if !absent(t, r.Subject, fmt.Appendf(body, " %s %v", r.Subject, r.Header)) {
				return errFound
			}
			return nil
		}); err != nil && !errors.Is(err, errFound) {
			t.Fatalf("read %s: %v", stream, err)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
	return scrubbed
}

// sql asks ClickHouse as curl would.
func sql(ctx context.Context, address, statement string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	u.RawQuery, u.Path = url.Values{"database": {strings.Trim(u.Path, "/")}}.Encode(), "/"
	return fetch(ctx, http.MethodPost, u.String(), statement)
}

func fetch(ctx context.Context, method, address, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %.200s", res.Status, said)
	}
	return said, err
}

// children are the processes that descend from one, by id, each with its environment.
func children(t *testing.T, of int) map[int][]byte {
	t.Helper()
	parent := map[int]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		body, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid: a name may hold anything
		fields := strings.Fields(string(body[bytes.LastIndexByte(body, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		parent[pid], _ = strconv.Atoi(fields[1])
	}
	found := map[int][]byte{}
	for pid := range parent {
		for up := parent[pid]; up > 1; up = parent[up] {
			if up != of {
				continue
			}
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil {
				t.Errorf("the environment of child %d cannot be read: %v", pid, err)
			}
			found[pid] = environ
		}
	}
	return found
}
