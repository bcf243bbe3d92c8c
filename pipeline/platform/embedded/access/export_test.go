package access

// Generate generates a password as on a system that does not distinguish users.
var Generate = generate
