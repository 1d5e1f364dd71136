-- +goose Up
CREATE TABLE master_key_checks (
	id BIGINT PRIMARY KEY,
	sealed BYTEA NOT NULL
);
