-- +goose Up

-- What lets one more phone enrol for a user, once. id is a keyed hash of the
-- secret in its link; state is "open", "used" or "replaced".
CREATE TABLE phone_invitations (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	state TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX phone_invitations_by_user ON phone_invitations (user_id, app_id, state);
CREATE INDEX phone_invitations_by_expiry ON phone_invitations (expires_at);
