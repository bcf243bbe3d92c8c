package deal

import (
	"strconv"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// Links are the pages about a product. A link that is shown or stored is made here, of ASIN
// and marketplace, and never taken from a message.
type Links struct {
	Amazon string // the product
	Offers string // the used offers for it, at Amazon
	Keepa  string // its histories
}

// LinksOf are the pages about an ASIN in a marketplace; all empty for what is not an ASIN, or not a marketplace.
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
