package deal

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// Name is a product as a person names it.
type Name struct {
	ASIN   string
	Domain int // Keepa's number of the marketplace; 0 when the name does not contain it
}

// Named reads an ASIN, an ISBN-10, an ISBN-13 (hyphens and spaces do not matter) or a link to
// Amazon or Keepa, and verifies check digits. An error describes what was expected.
func Named(arg string) (Name, error) {
	text := strings.TrimSpace(arg)
	if strings.ContainsAny(text, "/.") {
		return linked(text)
	}
	id := strings.ToUpper(strings.NewReplacer("-", "", " ", "", "‐", "", "–", "").Replace(text))
	asin, err := asinOf(id)
	if err != nil {
		return Name{}, fmt.Errorf("%q %w", arg, err)
	}
	return Name{ASIN: asin}, nil
}

var (
	isbn10 = regexp.MustCompile(`^[0-9]{9}[0-9X]$`)
	isbn13 = regexp.MustCompile(`^[0-9]{13}$`)
	amazon = regexp.MustCompile(`^(?:[a-z0-9-]+\.)*amazon\.([a-z.]+)$`)
	marked = regexp.MustCompile(`(?i)/(?:dp|gp/product|gp/aw/d|gp/offer-listing|product-reviews|exec/obidos/ASIN|o/ASIN|d)/(?:product/)?([a-z0-9]{10})(?:[/?#]|$)`)
	keepas = regexp.MustCompile(`#!product/([0-9]+)-([A-Za-z0-9]{10})`)
)

var errNotASIN = errors.New("is not an ASIN, an ISBN or a link to Amazon: want ten letters and digits like 0593655036 or B0CS6RL7D6, or 13 digits")

// asinOf converts an ASIN or an ISBN without hyphens to an ASIN: that of a book is its ISBN-10.
func asinOf(id string) (string, error) {
	switch {
	case isbn10.MatchString(id):
		if want := check10(id); id[9] != want {
			return "", fmt.Errorf("is not an ISBN-10: its check digit would be %c, not %c; is a digit wrong?", want, id[9])
		}
	case isbn13.MatchString(id):
		if want := check13(id); id[12] != want {
			return "", fmt.Errorf("is not an ISBN-13: its check digit would be %c, not %c; is a digit wrong?", want, id[12])
		}
		if !strings.HasPrefix(id, "978") {
			return "", errors.New("has no ISBN-10, because it does not begin with 978: want the ASIN, which is in the address of its page at Amazon")
		}
		return id[3:12] + string(check10(id[3:])), nil
	case !pipeline.ValidASIN(id):
		return "", errNotASIN
	}
	return id, nil
}

// ISBN13 returns the ISBN-13 of a book's ASIN; "" if the ASIN is not an ISBN-10.
func ISBN13(asin string) string {
	if !isbn10.MatchString(asin) || check10(asin) != asin[9] {
		return ""
	}
	id := "978" + asin[:9]
	return id + string(check13(id))
}

// check10 returns the check digit of the first nine digits.
func check10(id string) byte {
	sum := 0
	for i := range 9 {
		sum += (10 - i) * int(id[i]-'0')
	}
	return "0123456789X"[(11-sum%11)%11]
}

// check13 returns the check digit of the first twelve digits.
func check13(id string) byte {
	sum := 0
	for i := range 12 {
		sum += (1 + 2*(i%2)) * int(id[i]-'0')
	}
	return "0123456789"[(10-sum%10)%10]
}

// linked reads a link.
func linked(text string) (Name, error) {
	bad := func(why string) (Name, error) { return Name{}, fmt.Errorf("%q %s", text, why) }
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad("is not a link")
	}
	host := strings.ToLower(u.Hostname())
	if m := keepas.FindStringSubmatch(text); m != nil && (host == "keepa.com" || host == "www.keepa.com") {
		return productOf(text, m[2], keepaDomain(m[1]))
	}
	m := amazon.FindStringSubmatch(host)
	if m == nil {
		return bad("is not a link to Amazon; a short link (amzn.to, a.co) must be opened first: want the address of the page")
	}
	domain, known := keepa.DomainOf(m[1])
	if !known {
		return bad("is of a marketplace that Keepa does not have: want amazon." + keepa.Suffixes())
	}
	if found := marked.FindStringSubmatch(u.Path); found != nil {
		return productOf(text, found[1], int(domain))
	}
	for _, name := range []string{"asin", "ASIN"} {
		if id := u.Query().Get(name); id != "" {
			return productOf(text, id, int(domain))
		}
	}
	if found := marked.FindStringSubmatch(u.Query().Get("url")); found != nil { // of an advertisement
		return productOf(text, found[1], int(domain))
	}
	return bad("names no product: want the address of a product's page, with /dp/ and the ASIN in it")
}

func keepaDomain(number string) int {
	for d := keepa.DomainCom; d <= keepa.DomainBR; d++ {
		if d.Valid() && fmt.Sprint(int(d)) == number {
			return int(d)
		}
	}
	return 0
}

func productOf(link, id string, domain int) (Name, error) {
	asin, err := asinOf(strings.ToUpper(id))
	if err != nil {
		return Name{}, fmt.Errorf("%q: %q %w", link, id, err)
	}
	return Name{ASIN: asin, Domain: domain}, nil
}
