package db

// table is one table of the schema.
type table struct {
	name string
	// passing tables hold what is under way: who is signed in, what waits for an
	// answer. Restored from a copy of yesterday they would bring
	// back what has ended since.
	passing bool
}

// tables are all tables that are copied, parents before their children.
// TestTables compares them with what the migrations make.
var tables = []table{
	{"master_key_checks", false},
	{"tenants", false},
	{"tenant_methods", false},
	{"apps", false},
	{"brandings", false},
	{"clients", false},
	{"method_configs", false},
	{"words", false},
	{"providers", false},
	{"signing_keys", false},
	{"journeys", false},
	{"drafts", false},
	{"organisations", false},
	{"users", false},
	{"identifiers", false},
	{"organisation_members", false},
	{"devices", false},
	{"push_targets", false},
	{"credentials", false},
	{"lockouts", false},
	{"consents", false},
	{"administrators", false},
	{"webhooks", false},
	{"webhook_deliveries", false},
	{"run_records", false},
	{"audit", false},
	{"audit_head", false},
	{"audit_followers", false},
	{"audit_tallies", false},
	{"counters", false},
	{"used_ids", false},

	{"sessions", true},
	{"console_sessions", true},
	{"grants", true},
	{"requests", true},
	{"tickets", true},
	{"invitations", true},
	{"phone_invitations", true},
	{"challenges", true},
	{"runs", true},
	{"snapshots", true},
	{"tries", true},
	{"jobs", true},
}

// uncopied are the tables that mean something to running nodes only.
var uncopied = map[string]bool{"goose_db_version": true, "migration_lease": true, "signals": true, "job_leases": true}
