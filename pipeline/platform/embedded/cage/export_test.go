package cage

// MissingAt are the layers that a version of Landlock lacks.
var MissingAt = missing
