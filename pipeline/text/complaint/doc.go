// Package complaint says what is wrong with a file that a person wrote (rules, queries): every mistake at once,
// each with its line, its field and what to write instead.
package complaint
