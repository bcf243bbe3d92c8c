package keepasim

import "fmt"

var (
	titleSubjects = []string{
		"Organic Chemistry", "The River Trade", "Field Guide to Ferns", "Calculus", "Letters from Kiev", "A History of Glass",
		"Practical Woodworking", "The Quiet Harbor", "Introduction to Linguistics", "Music Theory", "Byzantine Art",
		"Small Engine Repair", "The Salt Road", "Human Anatomy", "Medieval Warfare", "Watercolor Landscapes",
	}
	titleEndings = []string{
		"", ": A Novel", ", 3rd Edition", " &amp; Practice", ": Theory and Applications", " (Classic Reprint)",
		": An Illustrated Companion", " - Volume II", " for Beginners", ": The Collector's Guide",
	}
	surnames = []string{"Okafor", "Lindgren", "Marsh", "Tanaka", "Delacroix", "Whitfield", "Petrov", "Alvarez", "Nwosu", "Haas"}
	names    = []string{"Ruth", "Edward", "Mei", "Carlos", "Ingrid", "Samuel", "Noor", "Walter", "Iris", "Jonas"}
	houses   = []string{"Harbor Press", "University of Lakeland Press", "Oak & Ash", "Meridian Books", "Northgate", "Penfield House"}
	branches = [][]int64{{1000, 2, 227613}, {1000, 75, 13912}, {1000, 9, 4913}, {1000, 17, 10129}, {1000, 48, 4758}, {1000, 22, 12676}}
)

// describe sets the book's texts and dimensions.
func (k *book) describe(r *source) {
	k.title = fmt.Sprintf("%s%s", pick(r, titleSubjects), pick(r, titleEndings))
	k.author = pick(r, surnames) + ", " + pick(r, names)
	k.brand = pick(r, houses)
	k.binding = pick(r, []string{"Paperback", "Hardcover", "Hardcover", "Spiral-bound"})
	k.pages = r.int(96, 900)
	k.weight = 120 + k.pages*2
	k.released = r.int(1965, 2021)*10000 + r.int(1, 12)*100 + r.int(1, 28)
	branch := pick(r, branches)
	if k.root != booksRoot {
		branch = []int64{k.root}
	}
	k.cats = branch[len(branch)-1:]
}
