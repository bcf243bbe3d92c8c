// Package roles says what each role may publish to, subscribe to and request on NATS.
package roles

// Inbox is the prefix of the subjects on which a role gets its answers. A daemon's is its own, so
// that no other role can listen; people use that of the nats CLI.
func Inbox(role string) string { return "_INBOX" }
