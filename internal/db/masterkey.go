package db

import (
	"context"
	"errors"
)

// ErrMasterKey means that the database was made with another master key.
var ErrMasterKey = errors.New("the master key is not the one this database was made with; give the right one with --master-key-file or WATCHWORD_MASTER_KEY")

const (
	keyPlace = "master_key_checks/sealed/1"
	keyText  = "watchword"
)

// CheckVault refuses a database that was sealed under another master key, with
// ErrMasterKey, before anything is written with the wrong one. The first call
// on a new database leaves what later calls check.
func (d *DB) CheckVault(ctx context.Context) error {
	return d.Tx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO master_key_checks (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`, tx.Vault().Seal(keyPlace, []byte(keyText)))
		if err != nil {
			return err
		}
		return Opens(ctx, tx)
	})
}

// Opens reports ErrMasterKey if what CheckVault left was sealed under another
// master key; it writes nothing.
func Opens(ctx context.Context, q Q) error {
	var sealed []byte
	if err := q.QueryRow(ctx, `SELECT sealed FROM master_key_checks WHERE id = 1`).Scan(&sealed); err != nil {
		return None(err, "sign of a master key: no server has used this database yet")
	}
	if _, err := q.Vault().Open(keyPlace, sealed); err != nil {
		return ErrMasterKey
	}
	return nil
}
