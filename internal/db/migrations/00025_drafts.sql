-- +goose Up

-- Who published a version, and what they said about it.
ALTER TABLE journeys ADD COLUMN published_by TEXT NOT NULL DEFAULT '';
ALTER TABLE journeys ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- What is being drawn and is not published: one draft a journey. base is the
-- version that it began with.
CREATE TABLE drafts (
	tenant_id TEXT NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	graph TEXT NOT NULL,
	base BIGINT NOT NULL,
	rev BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by TEXT NOT NULL,
	PRIMARY KEY (tenant_id, id)
);

-- A draft as it was when somebody tried it. Versions are below zero, so that a
-- run of one can be taken for no other.
CREATE TABLE snapshots (
	tenant_id TEXT NOT NULL,
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	graph TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, id, version)
);
CREATE INDEX snapshots_by_time ON snapshots (created_at);

-- A run that an operator steers from the console. session is sealed.
CREATE TABLE tries (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	owner TEXT NOT NULL,
	journey TEXT NOT NULL,
	client_id TEXT NOT NULL,
	session BYTEA NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX tries_by_expiry ON tries (expires_at);
