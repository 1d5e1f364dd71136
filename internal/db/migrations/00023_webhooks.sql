-- +goose Up

-- How far whoever follows the record has come; see audit.Follow.
CREATE TABLE audit_followers (
	name TEXT PRIMARY KEY,
	seq BIGINT NOT NULL
);

-- How often what happened in which hour; name is "type outcome".
CREATE TABLE audit_tallies (
	tenant_id TEXT NOT NULL,
	hour BIGINT NOT NULL,
	name TEXT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, hour, name)
);

CREATE TABLE webhooks (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	url TEXT NOT NULL,
	events TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	secret BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant_id);

CREATE TABLE webhook_deliveries (
	id TEXT PRIMARY KEY,
	webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
	event_id TEXT NOT NULL,
	event_type TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	ok BOOLEAN NOT NULL,
	answer TEXT NOT NULL,
	took BIGINT NOT NULL,
	at BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_by_hook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (at);
