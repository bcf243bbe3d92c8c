package access

// Generate makes a password as where the system does not tell users apart.
var Generate = generate
