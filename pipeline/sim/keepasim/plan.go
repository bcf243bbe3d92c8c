package keepasim

// plan is the parameters of a book.
type plan struct {
	buy       int          // price of the copy that is listed last, without shipping
	shipping  int          // of it; -1 not stated
	condition int          // of it
	level     float64      // the actual sale price of the median copy, landed
	noise     float64      // of the logarithm of a sale price around the level
	ask       float64      // used price between sales, without shipping
	drift     float64      // how much higher level and asking price were a year before, as a share
	rate      float64      // actual sales a year, at the end
	amazon    int          // 0 without
	used      int          // live used offers
	fresh     int          // live new offers
	near      int          // of the used ones, how many are just above the cheapest
	spike     int64        // for how long asking prices have been extreme, in minutes
	fault     func(*offer) // why not every buyer can have the cheapest; nil if they can
	wild      bool
}

// aged returns a value at an age in minutes.
func (p *plan) aged(v float64, age int64) float64 { return v * (1 + p.drift*float64(age)/(365*day)) }

func (p *plan) levelAt(age int64) float64 { return p.aged(p.level, age) }
func (p *plan) askAt(age int64) float64   { return p.aged(p.ask, age) }

// plan chooses the parameters. In a backlog the margins keep every class away from its thresholds: by
// at least two dollars of profit, two months of time. In the living world they are realistic.
func (k *book) plan(r *source, b birth) plan {
	p := plan{wild: b.wild, noise: 0.06, condition: r.int(3, 5)}
	p.buy = 2400 + min(int(r.exp(1400)), 4600) + r.int(0, 199)
	p.buy -= p.buy % 5
	p.buy += pick(r, []int{0, -1, -1, 4})
	p.shipping = pick(r, []int{399, 399, 399, 0, 0, 350})
	k.fba = r.int(320, 540)
	if b.wild {
		p.noise = r.between(0.12, 0.32)
		p.drift = r.between(-0.08, 0.15)
	}
	k.level(r, &p)
	p.ask = max(float64(p.buy)*r.between(2.16, 2.75), p.level*r.between(1.06, 1.15))
	k.trap(r, &p)
	switch {
	case b.class == AmazonCaps:
		p.amazon = int(float64(p.buy) * r.between(0.72, 0.97))
	case r.chance(0.28):
		p.amazon = int(max(p.level, p.ask, float64(p.buy)) * r.between(1.6, 2.0))
	}
	p.used, p.fresh = r.int(3, 6), r.int(0, 3)
	if b.large {
		p.used, p.fresh = r.int(9, 14), r.int(2, 5)
	}
	if b.class == NoUsedPrice {
		p.fresh = max(1, p.fresh)
		if b.large {
			p.fresh = r.int(11, 15)
		}
	}
	return p
}

// level chooses the book's actual sale price, and with it whether the copy is worth buying.
func (k *book) level(r *source, p *plan) {
	buy, landed := float64(p.buy), p.buy+standardShipping
	switch k.class {
	case Good:
		target := buy*r.between(0.42, 0.62) + 200
		if p.wild {
			target = buy*r.between(0.12, 0.55) + 350
		}
		p.level = k.needed(target, landed) / worth(p.condition)
	case NoProfit:
		// Even in the best condition and without shipping it would sell for less than it costs.
		p.level = k.needed(0, p.buy) / worth(2) * r.between(0.65, 0.9)
		if p.wild && r.chance(0.15) { // it looks like a deal until its own price and condition are known
			p.level = k.needed(-buy*r.between(0.02, 0.3), landed) / worth(p.condition)
		}
	case LandedPrice:
		target := 500 + 0.15*buy
		p.level = k.needed(target, p.buy)
		p.shipping = int((target + 0.1*p.level + r.between(1000, 1800)) / (1 + costTax))
	case AmazonCaps, NoUsedPrice:
		p.level = k.needed(buy*r.between(0.2, 0.4), landed)
	default: // books with little demand
		p.level = buy * r.between(0.8, 1.1)
	}
}

// trap turns a book's parameters into those of a trap.
func (k *book) trap(r *source, p *plan) {
	buy := float64(p.buy)
	switch k.class {
	case Flicker: // expensive to ask for, cheap and rare to sell; counts fall all the time
		p.level = buy * r.between(0.9, 1.15)
	case Spike: // an ordinary price, which looks cheap beside the extreme ones of the last weeks
		p.level = (buy + standardShipping) * r.between(0.95, 1.15)
		p.ask = p.level * r.between(0.95, 1.1)
		p.spike = r.minutes(12*day, 70*day)
	case Undercut: // the market falls, and others are about as cheap
		p.level = (buy + standardShipping) * r.between(0.9, 1.1)
		p.ask = p.level * r.between(1.15, 1.4)
		p.drift = r.between(0.4, 0.9)
		p.near = r.int(1, 2)
	case Unbuyable:
		p.level = k.needed(buy*r.between(0.25, 0.5), p.buy+standardShipping)
		p.ask = max(buy*r.between(2.16, 2.75), p.level*r.between(1.06, 1.15))
		p.fault = pick(r, faults)
	}
}

// script chooses the events of the book's history, and their frequency.
func (k *book) script(r *source, p *plan) *script {
	s := newScript(k.created, k.start)
	s.wild = p.wild
	span := float64(slotDays * len(s.slots))
	s.rates.withdrawals, s.rates.flickers, s.rates.undercuts = r.between(22, 40), r.between(7, 18), r.between(2, 5)
	over := func(perYear, youngest, oldest float64) int {
		return int(perYear*(min(oldest, span)-youngest)/365 + 0.5)
	}
	switch k.class {
	case NoRankDrop:
		s.place(r, sale, r.int(3, 8), 430, 1000)
	case NoRecentSale:
		s.place(r, sale, r.int(4, 10), 430, 1000)
		s.place(r, jump, r.int(3, 8), 12, 400)
		s.place(r, dip, r.int(2, 8), 12, 400)
	case NoInferredSale:
		s.place(r, jump, over(r.between(3, 9), 12, 1100), 12, 1100)
		s.place(r, dip, over(r.between(3, 9), 12, 1100), 12, 1100)
	case Flicker:
		p.rate = r.between(0.7, 2.5)
		s.rates.withdrawals, s.rates.flickers = r.between(30, 45), r.between(15, 25)
		s.place(r, sale, over(p.rate, 8, 1090), 8, 1090)
		s.place(r, coincidence, over(r.between(1, 4), 8, 1090), 8, 1090)
		s.place(r, jump, over(r.between(15, 30), 4, 1090), 4, 1090)
	default:
		p.rate = float64(r.int(6, 12))
		if p.wild {
			p.rate = r.between(4, 14)
			s.place(r, coincidence, over(r.between(0, 3), 4, 1090), 4, 1090)
		}
		k.busy(r, s, p.rate, p.rate*r.between(1, 2), over)
	}
	s.rest(r)
	return s
}

// busy places sales and jumps without one, at that many a year.
func (k *book) busy(r *source, s *script, sales, jumps float64, over func(perYear, youngest, oldest float64) int) {
	s.place(r, sale, over(sales, 8, 365), 8, 365)
	s.place(r, sale, over(sales*r.between(0.7, 1), 365, 1090), 365, 1090)
	s.place(r, jump, over(jumps, 4, 1090), 4, 1090)
	s.place(r, dip, over(jumps*r.between(0.6, 1.4), 4, 1090), 4, 1090)
}
