package roles

// Right is a ClickHouse user with its grants on the database ratchet.
type Right struct {
	User, Purpose string
	Grants        []string
}

// Rights returns the users, each with the least grants that it needs.
func Rights() []Right {
	return []Right{
		{User: "writer", Purpose: "the recorder: writes and looks up, defines nothing", Grants: []string{
			"SELECT, INSERT ON ratchet.*",
			"ALTER DELETE ON ratchet.deal_facts", // rejects that cannot hide any deal any more
			"OPTIMIZE ON ratchet.deal_facts",
		}},
		{User: "reader", Purpose: "people, reports and dashboards", Grants: []string{"SELECT ON ratchet.*"}},
		{User: "migrator", Purpose: "ratchet topology apply: creates and changes the tables", Grants: []string{
			"CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER, SELECT, INSERT, TRUNCATE, OPTIMIZE, SHOW ON ratchet.*",
		}},
	}
}
