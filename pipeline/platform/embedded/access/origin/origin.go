// Package origin decides whether a page in a browser sent a request, by its headers.
package origin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// FromPage rejects requests of web pages: a page in a browser can reach a port on this machine, and its own
// host name may resolve to it. With anyHost, names other than this machine's loopback ones are accepted.
func FromPage(r *http.Request, anyHost bool) error {
	if len(r.Header.Values("Origin")) > 0 {
		return errors.New("requests from web pages (with an Origin header) are refused")
	}
	return fromOtherSite(r, anyHost)
}

// FromOtherPage is FromPage for a server of pages: those that it served may send requests, from their own origin.
func FromOtherPage(r *http.Request, anyHost bool) error {
	ours := "http://" + r.Host
	if r.TLS != nil {
		ours = "https://" + r.Host
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != ours {
			return fmt.Errorf("requests from web pages of other sites (with the Origin %q) are refused", origin)
		}
	}
	return fromOtherSite(r, anyHost)
}

func fromOtherSite(r *http.Request, anyHost bool) error {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "none" && site != "same-origin" {
			return errors.New("requests from web pages of other sites are refused")
		}
	}
	if !anyHost && !loopbackHost(r.Host) {
		return fmt.Errorf("requests for host %q are refused: use 127.0.0.1 or localhost", r.Host)
	}
	return nil
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
