-- +goose Up

-- What a tenant sets of a method for all its applications; method_configs says
-- what an application sets differently.
CREATE TABLE tenant_methods (
	tenant_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	config TEXT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, kind)
);

ALTER TABLE tenants ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
