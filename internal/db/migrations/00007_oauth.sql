-- +goose Up

-- What a client asked for and waits for. id is a keyed hash of its handle, with
-- which alone body opens; outcome is the proofs of who granted it.
CREATE TABLE requests (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	client_id TEXT NOT NULL,
	state TEXT NOT NULL,
	body BYTEA NOT NULL,
	outcome BYTEA,
	user_code TEXT UNIQUE,
	challenge TEXT,
	polled_at BIGINT NOT NULL,
	pace BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX requests_by_challenge ON requests (challenge);
CREATE INDEX requests_by_expiry ON requests (expires_at);

-- What a user granted to a client, and the one family of its tokens. generation
-- is that of the refresh token which is good now.
CREATE TABLE grants (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	session_id TEXT NOT NULL,
	state TEXT NOT NULL,
	generation BIGINT NOT NULL,
	body BYTEA NOT NULL,
	rotated_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX grants_by_session ON grants (session_id);
CREATE INDEX grants_by_user ON grants (user_id, client_id);
CREATE INDEX grants_by_expiry ON grants (expires_at);

CREATE TABLE consents (
	user_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	scopes TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (user_id, client_id)
);

-- Ids that count once: of client assertions and key proofs.
CREATE TABLE used_ids (
	id TEXT PRIMARY KEY,
	expires_at BIGINT NOT NULL
);
CREATE INDEX used_ids_by_expiry ON used_ids (expires_at);
