package standalone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// place is what a simulated world must remember over a restart: the real Keepa
// keeps its own time and balance.
type place struct {
	At      time.Time `json:"at"`      // pipeline time
	Balance int       `json:"balance"` // tokens of the simulated bucket
	Next    time.Time `json:"next"`    // its next refill; zero in the file of an earlier build
}

// loadPlace reads the place, if there is one.
func loadPlace(file string) (place, bool, error) {
	body, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, fmt.Errorf("read %s: %w", file, err)
	}
	var p place
	if err := json.Unmarshal(body, &p); err != nil {
		return place{}, false, fmt.Errorf("read %s: %w; delete it to restart simulated time", file, err)
	}
	return p, true, nil
}

// save writes the place beside and renames, so that a crash leaves the old one.
func (p place) save(file string) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", body, 0o600); err != nil {
		return fmt.Errorf("save simulated time: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("save simulated time: %w", err)
	}
	return nil
}
