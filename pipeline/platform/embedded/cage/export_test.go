package cage

// MissingAt returns the layers that a version of Landlock lacks.
var MissingAt = missing
