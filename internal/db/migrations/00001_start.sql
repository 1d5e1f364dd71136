-- +goose Up

-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970, 0 is
-- "never"; documents are JSON text and never queried inside; BYTEA columns hold
-- sealed values. Rows are bound to each other by REFERENCES only where the
-- child means nothing without its parent.

CREATE TABLE tenants (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	created_at BIGINT NOT NULL
);

CREATE TABLE apps (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	name TEXT NOT NULL,
	audience TEXT NOT NULL,
	settings TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX apps_by_tenant ON apps (tenant_id);

CREATE TABLE clients (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	secret_hash TEXT NOT NULL,
	settings TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX clients_by_app ON clients (app_id);

CREATE TABLE users (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	status TEXT NOT NULL,
	external_id TEXT NOT NULL,
	custom TEXT NOT NULL,
	rev BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX users_by_tenant ON users (tenant_id, id);

CREATE TABLE identifiers (
	tenant_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	value TEXT NOT NULL,
	shown TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	verified_at BIGINT NOT NULL,
	is_primary BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, kind, value)
);
CREATE INDEX identifiers_by_user ON identifiers (user_id);

CREATE TABLE devices (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	key_type TEXT NOT NULL,
	public_key BYTEA NOT NULL,
	name TEXT NOT NULL,
	platform TEXT NOT NULL,
	os TEXT NOT NULL,
	os_version TEXT NOT NULL,
	model TEXT NOT NULL,
	manufacturer TEXT NOT NULL,
	app_identifier TEXT NOT NULL,
	status TEXT NOT NULL,
	last_seen_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	rev BIGINT NOT NULL,
	UNIQUE (app_id, user_id, key_id)
);
CREATE INDEX devices_by_user ON devices (user_id, app_id);
CREATE INDEX devices_by_key ON devices (app_id, key_id);

CREATE TABLE push_targets (
	id TEXT PRIMARY KEY,
	device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
	kind TEXT NOT NULL,
	address BYTEA NOT NULL,
	address_hash TEXT NOT NULL,
	app_identifier TEXT NOT NULL,
	status TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	UNIQUE (device_id, kind)
);
CREATE INDEX push_targets_by_address ON push_targets (address_hash);

CREATE TABLE method_configs (
	app_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	config TEXT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app_id, kind)
);

-- app_id '' is for the whole tenant.
CREATE TABLE providers (
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	config BYTEA NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, app_id, kind, name)
);

CREATE TABLE credentials (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	device_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	handle TEXT,
	label TEXT NOT NULL,
	status TEXT NOT NULL,
	rev BIGINT NOT NULL,
	data BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	UNIQUE (kind, scope, handle)
);
CREATE INDEX credentials_by_user ON credentials (user_id, kind, scope);

CREATE TABLE challenges (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	subject TEXT NOT NULL,
	state TEXT NOT NULL,
	turn TEXT NOT NULL,

	once TEXT NOT NULL UNIQUE,
	slot TEXT UNIQUE,
	data BYTEA NOT NULL,
	proof BYTEA,
	created_at BIGINT NOT NULL,
	moved_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);
CREATE INDEX challenges_by_user ON challenges (user_id, kind, state);

CREATE TABLE lockouts (
	subject TEXT PRIMARY KEY,
	state TEXT NOT NULL,
	updated_at BIGINT NOT NULL
);

CREATE TABLE journeys (
	tenant_id TEXT NOT NULL,
	id TEXT NOT NULL,
	version BIGINT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	graph TEXT NOT NULL,
	state TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, id, version)
);

CREATE TABLE runs (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	rev BIGINT NOT NULL,
	body BYTEA NOT NULL,
	state TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX runs_by_expiry ON runs (expires_at);

CREATE TABLE tickets (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	value TEXT NOT NULL,
	state TEXT NOT NULL,
	data BYTEA NOT NULL,
	expires_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	rev BIGINT NOT NULL
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
CREATE INDEX tickets_by_value ON tickets (kind, value);

CREATE TABLE signing_keys (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	alg TEXT NOT NULL,
	public TEXT NOT NULL,
	private BYTEA NOT NULL,
	state TEXT NOT NULL,
	activates_at BIGINT NOT NULL,
	retires_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX signing_keys_by_tenant ON signing_keys (tenant_id, state);

-- limit: id is a keyed hash of what is counted.
CREATE TABLE counters (
	id TEXT PRIMARY KEY,
	taken BIGINT NOT NULL,
	ends_at BIGINT NOT NULL
);
CREATE INDEX counters_by_end ON counters (ends_at);

-- jobs: state is 'ready' or 'parked'. run_at is when the job is due, or until
-- when the worker that claimed it may take.
CREATE TABLE jobs (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	payload BYTEA NOT NULL,
	state TEXT NOT NULL,
	run_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	last_error TEXT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (state, run_at);
CREATE INDEX jobs_by_expiry ON jobs (expires_at);

CREATE TABLE job_leases (
	name TEXT PRIMARY KEY,
	holder TEXT NOT NULL,
	until BIGINT NOT NULL
);

-- audit: seq 0 is a row that the chain has not reached yet.
CREATE TABLE audit (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	type TEXT NOT NULL,
	outcome TEXT NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	target TEXT NOT NULL,
	run_id TEXT NOT NULL,
	device_id TEXT NOT NULL,
	ip TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	data TEXT NOT NULL,
	seq BIGINT NOT NULL,
	hash TEXT NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant_id, id);
CREATE INDEX audit_by_target ON audit (tenant_id, target, id);
CREATE INDEX audit_unsealed ON audit (id) WHERE seq = 0;
CREATE UNIQUE INDEX audit_chain ON audit (seq) WHERE seq > 0;

-- The one row 'chain': where the chain begins and ends. mac authenticates it.
CREATE TABLE audit_head (
	id TEXT PRIMARY KEY,
	base_seq BIGINT NOT NULL,
	base_hash TEXT NOT NULL,
	seq BIGINT NOT NULL,
	hash TEXT NOT NULL,
	mac TEXT NOT NULL
);

-- signals carry a wake from one node to the others; PostgreSQL only.
CREATE TABLE signals (
	id TEXT PRIMARY KEY,
	node TEXT NOT NULL,
	topic TEXT NOT NULL,
	at BIGINT NOT NULL
);
CREATE INDEX signals_by_topic ON signals (topic, at);
CREATE INDEX signals_by_time ON signals (at);
