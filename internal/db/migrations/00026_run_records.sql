-- +goose Up

-- What is kept of a run when it is over: where it went, and nothing that was
-- typed. trace is sealed.
CREATE TABLE run_records (
	id TEXT PRIMARY KEY,
	tenant_id TEXT NOT NULL,
	app_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	journey TEXT NOT NULL,
	version BIGINT NOT NULL,
	user_id TEXT NOT NULL,
	outcome TEXT NOT NULL,
	reason TEXT NOT NULL,
	node TEXT NOT NULL,
	steps BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	trace BYTEA NOT NULL
);
CREATE INDEX run_records_by_journey ON run_records (tenant_id, journey, id);
CREATE INDEX run_records_by_user ON run_records (tenant_id, user_id, id);
CREATE INDEX run_records_by_end ON run_records (ended_at);
