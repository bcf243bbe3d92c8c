package deal

import (
	"strconv"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// Links are the pages about a product. Every link that is shown or stored is
// made here from ASIN and marketplace, never taken from a message.
type Links struct {
	Amazon string // the product
	Offers string // the used offers for it, at Amazon
	Keepa  string // its histories
}

// LinksOf returns the pages about an ASIN in a marketplace; all empty for an invalid ASIN or marketplace.
func LinksOf(domain int, asin string) Links {
	at := keepa.Domain(domain)
	if !at.Valid() || !pipeline.ValidASIN(asin) {
		return Links{}
	}
	host := "https://www.amazon." + at.Suffix()
	return Links{
		Amazon: host + "/dp/" + asin,
		Offers: host + "/gp/offer-listing/" + asin + "/?condition=used",
		Keepa:  "https://keepa.com/#!product/" + strconv.Itoa(domain) + "-" + asin,
	}
}
