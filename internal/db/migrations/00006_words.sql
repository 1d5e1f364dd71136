-- +goose Up

-- Words that no password of an application may be made of, folded.
CREATE TABLE words (
	app_id TEXT NOT NULL,
	word TEXT NOT NULL,
	PRIMARY KEY (app_id, word)
);
