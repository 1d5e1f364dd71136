-- +goose Up

-- Who runs this server. Each is a user of the tenant _console; first is 'first'
-- for the one who came by the first link of all, of whom there is one.
CREATE TABLE administrators (
	user_id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	email TEXT NOT NULL,
	role TEXT NOT NULL,
	status TEXT NOT NULL,
	first TEXT UNIQUE,
	seen_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);

-- id is a keyed hash of what the link carries; user_id '' is whoever becomes the
-- first owner.
CREATE TABLE invitations (
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL,
	used_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_by_user ON invitations (user_id);

-- What the console adds to a session: which tenant it manages, and its shorter
-- life.
CREATE TABLE console_sessions (
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	seen_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX console_sessions_by_user ON console_sessions (user_id);
CREATE INDEX console_sessions_by_expiry ON console_sessions (expires_at);
