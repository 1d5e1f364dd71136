-- +goose Up

-- How the pages of an application look and what they say. Logos are pictures
-- that the server drew itself from what was uploaded.
CREATE TABLE brandings (
	app_id TEXT PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
	body TEXT NOT NULL,
	logo BYTEA NOT NULL,
	logo_dark BYTEA NOT NULL,
	updated_at BIGINT NOT NULL
);
