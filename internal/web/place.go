package web

import (
	"net/netip"
	"strings"
)

// Place says where a request comes from, as far as an address tells without
// asking anybody.
func Place(address string) string {
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return "unknown place"
	case a.Unmap().IsLoopback():
		return "this computer"
	case a.Unmap().IsPrivate() || a.IsLinkLocalUnicast():
		return "local network"
	}
	return a.Unmap().String()
}

// Browsers and Systems are what Browser knows: what stands in a User-Agent, and its name.
var (
	Browsers = [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"node", "Node.js"}}
	Systems  = [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}}
)

// Browser names the browser and system that a User-Agent claims, in words that
// people know. Whatever else it says is not shown.
func Browser(ua string) string {
	name := match(ua, Browsers)
	system := match(ua, Systems)
	switch {
	case name == "" && system == "":
		return "unknown browser"
	case name == "":
		return system
	case system == "":
		return name
	}
	return name + " on " + system
}

func match(s string, words [][2]string) string {
	for _, w := range words {
		if strings.Contains(s, w[0]) {
			return w[1]
		}
	}
	return ""
}
