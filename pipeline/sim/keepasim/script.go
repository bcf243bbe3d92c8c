package keepasim

import (
	"math"
	"slices"
)

// slotDays is the time reserved for one event: a sale, a copy withdrawn, a jump of the rank. Events are
// kept apart so that each has one cause; in the living world less strictly, as in reality.
const slotDays = 4

// happening is the event of a slot.
type happening uint8

const (
	quiet       happening = iota
	sale                  // the cheapest copy sells, and the rank jumps
	jump                  // the rank jumps and no used copy was sold: a new one was
	dip                   // the rank improves a little
	withdrawal            // a copy is withdrawn
	flickering            // Keepa misses a copy for some hours
	undercut              // a copy is offered below the others and does not sell
	coincidence           // a copy is withdrawn while the rank jumps for a new one: it looks like a sale
)

// script are the slots of a book's history, the youngest first.
type script struct {
	created int64
	slots   []happening
	wild    bool                                               // events happen anywhere in their slots
	rates   struct{ withdrawals, flickers, undercuts float64 } // a year
}

func newScript(created, start int64) *script {
	return &script{created: created, slots: make([]happening, max(0, int((created-start)/day-6)/slotDays))}
}

// begin returns when slot i begins. The youngest ends two days before the last price.
func (s *script) begin(i int) int64 { return s.created - (2+slotDays*int64(i+1))*day }

// within returns when the event of slot i happens: away from the neighbours, or in a wild book anywhere.
func (s *script) within(r *source, i int) int64 {
	if s.wild {
		return s.begin(i) + r.minutes(0, 39*day/10)
	}
	return s.begin(i) + r.minutes(13*day/10, 2*day)
}

// place puts n events evenly into the slots between two ages in days, each in one of its own.
func (s *script) place(r *source, what happening, n int, youngest, oldest float64) {
	oldest = min(oldest, float64(slotDays*len(s.slots)))
	for i := range n {
		age := youngest + (float64(i)+r.between(0.1, 0.9))*(oldest-youngest)/float64(n)
		for at := int(age / slotDays); at < len(s.slots) && float64(at*slotDays) < oldest; at++ {
			if s.slots[at] == quiet {
				s.slots[at] = what
				break
			}
		}
	}
}

// rest fills the free slots by the yearly rates.
func (s *script) rest(r *source) {
	a, b, c := s.rates.withdrawals*slotDays/365, s.rates.flickers*slotDays/365, s.rates.undercuts*slotDays/365
	for i, what := range s.slots {
		if what != quiet {
			continue
		}
		switch x := r.float(); {
		case x < a:
			s.slots[i] = withdrawal
		case x < a+b:
			s.slots[i] = flickering
		case x < a+b+c:
			s.slots[i] = undercut
		}
	}
}

// usedHistory runs the used market up to the last price.
func (k *book) usedHistory(r *source, p *plan, s *script) *market {
	m := k.newMarket(r)
	m.wild = p.wild
	for i := range p.used - 1 {
		o := m.dear(p.ask)
		if i == 0 {
			o.price = int(p.askAt(k.created - k.start))
		}
		m.comes(k.start, o)
	}
	m.write(k.start, 0)
	trades := make([]trade, 0, 2*len(s.slots))
	for i, what := range slices.Backward(s.slots) { // the oldest first
		trades = append(trades, k.slotTrades(r, p, what, s, i)...)
	}
	if p.spike > 0 {
		trades = append(trades, trade{at: k.created - p.spike, do: func(m *market, at int64) {
			for i := range m.live {
				m.priced(i, at, int(float64(m.live[i].price)*r.between(2.4, 3.2)))
			}
		}})
	}
	m.run(trades)
	return m
}

// slotTrades returns the trades of a slot on the used market.
//
//	slot  0 d        1.3 d  event  2 d          3.3 d  a copy replaces the sold one       3.9 d
func (k *book) slotTrades(r *source, p *plan, what happening, s *script, i int) []trade {
	begin := s.begin(i)
	at := begin + r.minutes(13*day/10, 2*day)
	back := begin + r.minutes(33*day/10, 39*day/10)
	if what == withdrawal {
		at = s.within(r, i)
		back = max(back, at+r.minutes(26*60, 2*day))
	}
	ask := p.askAt(k.created - begin)
	again := comes(back, func(m *market) offer { return m.dear(ask) })
	switch what {
	case sale:
		return k.saleTrades(r, p, at, ask, again)
	case withdrawal:
		return []trade{withdrawn(at, r.chance(0.2)), again, repriced(back+60, ask)}
	case coincidence:
		k.coincided = append(k.coincided, at)
		return []trade{withdrawn(at, r.chance(0.5)), again, repriced(back+60, ask)}
	case flickering:
		return missed(at, at+min(20*60, 40+int64(r.exp(5*60))))
	case undercut:
		low := max(p.levelAt(k.created-begin)*1.06, ask*r.between(0.8, 0.95))
		trades := []trade{comes(begin+r.minutes(60, day), func(*market) offer {
			return offer{price: int(low), shipping: standardShipping}
		})}
		if r.chance(0.5) {
			return append(trades, sells(at, 0)) // withdrawn, not sold: the rank stays
		}
		return append(trades, withdrawn(back, false), repriced(back+60, ask))
	case jump, dip, quiet:
		if r.chance(0.3) {
			return []trade{repriced(at, ask)}
		}
	}
	return nil
}

// saleTrades: nothing sells at the asking level, so one seller undercuts it, and that copy sells.
func (k *book) saleTrades(r *source, p *plan, at int64, ask float64, again trade) []trade {
	o := offer{condition: conditionOf(r), shipping: standardShipping}
	landed := p.levelAt(k.created-at) * math.Exp(p.noise*r.NormFloat64())
	if p.wild {
		landed *= worth(o.condition)
		if r.chance(0.12) {
			o.fba, o.shipping = true, 0
		}
	}
	o.price = max(100, int(landed)-o.shipping)
	k.sold = append(k.sold, sold{at: at, cents: o.landed()})
	lag := int64(0)
	if r.chance(0.4) {
		lag = r.minutes(20, 20*60)
	}
	if float64(o.price) > ask { // a buyer pays the asking price
		return []trade{sells(at, lag), again}
	}
	return []trade{comes(at-r.minutes(2*60, 28*60), func(*market) offer { return o }), sells(at, lag)}
}
