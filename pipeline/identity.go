package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Identity is the unit of decision, decided once: one price of one product, from the moment at which that price
// began. Keepa moves creationDate exactly when the requested price moves, so a new price is a new identity.
type Identity struct {
	Domain       int    `json:"domain"`
	ASIN         string `json:"asin"`
	PriceType    int    `json:"price_type"`
	CreationDate int64  `json:"creation_date"` // Keepa minutes
}

// Generation distinguishes repeated decisions of one identity. It is FirstGeneration for live, gap and
// backfill, so that they deduplicate; the due hour for a refresh; the attempt for a repair and a retry.
type Generation string

// FirstGeneration is shared by live, gap and backfill.
const FirstGeneration Generation = "0"

// RefreshGeneration is the generation of a refresh that became due at due.
func RefreshGeneration(due time.Time) Generation {
	return Generation("refresh-" + due.UTC().Format("2006010215"))
}

// AttemptGeneration is the generation of the nth repair or retry.
func AttemptGeneration(source Source, attempt int) Generation {
	return Generation(fmt.Sprintf("%s-%d", source, attempt))
}

// ReplayGeneration is the generation of work that a replay offers again. It
// contains the run's name, so each run re-opens an identity once.
func ReplayGeneration(run string) Generation { return Generation("retry-" + run) }

// WorkID names one unit of work through every look: 24 hex digits of a hash over the identity and its
// generation. Equal work has an equal WorkID in every process, so the streams deduplicate it.
func (i Identity) WorkID(g Generation) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%s|%d|%d|%s", i.Domain, i.ASIN, i.PriceType, i.CreationDate, g))
	return hex.EncodeToString(sum[:12])
}

// ValidASIN reports whether s has the shape of an ASIN: ten characters
// A–Z and 0–9. Nothing else may become part of a subject.
func ValidASIN(s string) bool {
	return len(s) == 10 && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	}) < 0
}
