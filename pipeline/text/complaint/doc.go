// Package complaint reports mistakes in a file that a person wrote (rules, queries):
// all of them at once, each with its line, its field and a correction.
package complaint
