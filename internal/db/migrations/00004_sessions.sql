-- +goose Up

-- A session of a signed-in user. id is a keyed hash of what the client holds;
-- proofs are sealed to the row.
CREATE TABLE sessions (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	proofs BYTEA NOT NULL,
	rev BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, app_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
