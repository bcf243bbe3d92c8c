package keepasim

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"
)

// The multiplier spreads consecutive numbers over all ISBNs, and its inverse modulo 10^9 maps them back.
const (
	isbnSpace   = 1_000_000_000
	isbnSpread  = 387_420_489
	isbnScatter = 7_919_000_003 % isbnSpace
)

// isbn returns the ASIN of book number n of a world: an ISBN-10 with its check digit.
func isbn(seed uint64, n int64) string {
	x := (n*isbnSpread + int64(seed%1000)*isbnScatter) % isbnSpace
	digits := fmt.Sprintf("%09d", x)
	sum := 0
	for i, d := range digits {
		sum += (10 - i) * int(d-'0')
	}
	check := (11 - sum%11) % 11
	if check == 10 {
		return digits + "X"
	}
	return digits + strconv.Itoa(check)
}

// isbnNumber returns the number of a book from its ASIN; false if it is not of this world.
func isbnNumber(seed uint64, asin string) (int64, bool) {
	if len(asin) != 10 {
		return 0, false
	}
	x, err := strconv.ParseInt(asin[:9], 10, 64)
	if err != nil || x < 0 {
		return 0, false
	}
	x = ((x-int64(seed%1000)*isbnScatter)%isbnSpace + isbnSpace) % isbnSpace
	n := x * isbnInverse % isbnSpace
	return n, isbn(seed, n) == asin
}

// isbnInverse undoes isbnSpread modulo isbnSpace.
var isbnInverse = func() int64 {
	t, nt, r, nr := int64(0), int64(1), int64(isbnSpace), int64(isbnSpread)
	for nr != 0 {
		q := r / nr
		t, nt = nt, t-q*nt
		r, nr = nr, r-q*nr
	}
	return (t + isbnSpace) % isbnSpace
}()

// wireSeller is a seller object.
type wireSeller struct {
	ID          string    `json:"sellerId"`
	Name        string    `json:"sellerName"`
	Domain      int       `json:"domainId"`
	Tracked     int64     `json:"trackedSince"`
	LastUpdate  int64     `json:"lastUpdate"`
	CSV         [][]int64 `json:"csv"`
	HasFBA      bool      `json:"hasFBA"`
	Rating      int       `json:"currentRating"`
	RatingCount int       `json:"currentRatingCount"`
	Last30      int       `json:"ratingsLast30Days"`
}

// encodeSeller returns a seller of the population: good and busy on average. One in twelve is unknown to Keepa.
func encodeSeller(id string, now time.Time) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash accepts everything
	if len(id) < 10 || h.Sum64()%12 == 5 {
		return nil
	}
	r := newSource(7, "seller/"+id)
	at := minute(now)
	w := wireSeller{
		ID: id, Name: pick(r, surnames) + " " + pick(r, []string{"Books", "Media", "& Sons", "Book Barn", "Textbooks"}), Domain: 1,
		Tracked: at - 2000*day, LastUpdate: at - at%day, HasFBA: r.chance(0.4),
		Rating: ratingOf(id), RatingCount: 3 + int(r.exp(900)),
	}
	if id == amazonSeller {
		w.Name, w.HasFBA = "Amazon.com", true
	}
	w.Last30 = w.RatingCount / 50
	w.CSV = [][]int64{{w.Tracked, int64(w.Rating)}, {w.Tracked, int64(w.RatingCount)}}
	return mustJSON(w)
}

// ratingOf returns the share of a seller's ratings that are positive, in percent.
func ratingOf(id string) int { return 100 - min(40, int(newSource(7, "rating/"+id).exp(6))) }
