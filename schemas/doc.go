// Package schemas embeds Ratchet's files: decision rules, deal queries, message
// schemas and tables. They are part of the binary, so a copy of it runs anywhere.
package schemas
