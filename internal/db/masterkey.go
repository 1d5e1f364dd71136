package db

import (
	"context"
	"errors"
)

// ErrMasterKey means that the database was made with another master key.
var ErrMasterKey = errors.New("the master key is not the one this database was made with; give the right one with --master-key-file or WATCHWORD_MASTER_KEY")

// CheckVault refuses a database that was sealed under another master key, with
// ErrMasterKey, before anything is written with the wrong one. The first call
// on a new database leaves what later calls check.
func (d *DB) CheckVault(ctx context.Context) error {
	const place, text = "master_key_checks/sealed/1", "watchword"
	return d.Tx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO master_key_checks (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`, tx.Vault().Seal(place, []byte(text)))
		if err != nil {
			return err
		}
		var sealed []byte
		if err := tx.QueryRow(ctx, `SELECT sealed FROM master_key_checks WHERE id = 1`).Scan(&sealed); err != nil {
			return err
		}
		if _, err := tx.Vault().Open(place, sealed); err != nil {
			return ErrMasterKey
		}
		return nil
	})
}
