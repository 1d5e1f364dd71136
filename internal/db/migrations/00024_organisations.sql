-- +goose Up

-- Organisations are the customers of a B2B application; users of its tenant are
-- their members.
CREATE TABLE organisations (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	domains TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX organisations_by_app ON organisations (app_id, id);

CREATE TABLE organisation_members (
	org_id TEXT NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	role TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (org_id, user_id)
);
CREATE INDEX organisation_members_by_user ON organisation_members (user_id);
