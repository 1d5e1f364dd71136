-- +goose Up

-- Counters of names that belong to nobody, which are swept.
ALTER TABLE lockouts ADD COLUMN stranger BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX lockouts_by_stranger ON lockouts (stranger, updated_at);
