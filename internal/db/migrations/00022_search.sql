-- +goose Up

-- By what people search: the name, folded, as bytes, because bytes are in the same
-- order everywhere, and text is in the order of a country.
ALTER TABLE identifiers ADD COLUMN search BYTEA;
CREATE INDEX identifiers_by_search ON identifiers (tenant_id, search);
CREATE INDEX users_by_status ON users (tenant_id, status, id);
CREATE INDEX identifiers_unsearchable ON identifiers (tenant_id) WHERE search IS NULL;
