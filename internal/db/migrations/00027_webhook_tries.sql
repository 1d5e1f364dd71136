-- +goose Up

-- What was answered (0: nothing) and when it is tried again (0: not).
ALTER TABLE webhook_deliveries ADD COLUMN status BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_deliveries ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (webhook_id, event_id, id);
