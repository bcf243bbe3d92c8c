package keepasim

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// source is reproducible randomness: the same seed and name give the same
// numbers on every machine.
type source struct{ *rand.Rand }

func newSource(seed uint64, name string) *source {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash accepts everything
	return &source{rand.New(rand.NewPCG(seed^0x9e3779b97f4a7c15, h.Sum64()))}
}

func (s *source) float() float64 { return s.Float64() }

// between is uniform in [lo, hi].
func (s *source) between(lo, hi float64) float64 { return lo + (hi-lo)*s.Float64() }

// int is uniform in [lo, hi].
func (s *source) int(lo, hi int) int { return lo + s.IntN(hi-lo+1) }

// minutes is uniform in [lo, hi].
func (s *source) minutes(lo, hi int64) int64 { return lo + s.Int64N(hi-lo+1) }

// chance is true with probability p.
func (s *source) chance(p float64) bool { return s.Float64() < p }

// exp is exponential with this mean.
func (s *source) exp(mean float64) float64 { return -mean * math.Log(1-s.Float64()) }

func pick[T any](s *source, all []T) T { return all[s.IntN(len(all))] }
