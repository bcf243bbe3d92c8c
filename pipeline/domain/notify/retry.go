package notify

import "time"

// Outcome is the result of sending a message.
type Outcome string

// The outcomes.
const (
	Sent    Outcome = "sent"
	Again   Outcome = "again"   // the target may accept it later
	Refused Outcome = "refused" // the target will never accept it: it is set aside
)

// OfStatus returns the outcome of an HTTP status. A redirect is not followed: a POST would arrive as a GET.
func OfStatus(status int) Outcome {
	switch {
	case status/100 == 2:
		return Sent
	case status/100 == 4 && status != 408 && status != 429:
		return Refused
	}
	return Again
}

// OfReply returns the outcome of a mail server's reply to a message.
func OfReply(code int) Outcome {
	switch {
	case code/100 == 2:
		return Sent
	case code/100 == 5:
		return Refused
	}
	return Again
}

const (
	longestPause = 5 * time.Minute
	// longestWish bounds the Retry-After of a target.
	longestWish = 24 * time.Hour
)

// Pause returns the backoff after a number of failures in a row, at least 1: it doubles
// after each, is at least what the target asks for, and has jitter. draw is from 0 to 1.
func Pause(failures int, asked time.Duration, draw float64) time.Duration {
	backoff := min(longestPause, time.Second<<min(max(failures-1, 0), 20))
	backoff = backoff/2 + time.Duration(draw*float64(backoff/2))
	asked = min(max(asked, 0), longestWish)
	if asked > 0 {
		asked += time.Duration(draw * float64(min(asked/10, time.Second)))
	}
	return max(backoff, asked)
}
