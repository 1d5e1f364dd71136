package authn

import (
	"context"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// MaxWords is how many words an application's dictionary holds.
const MaxWords = 100_000

// AddWords adds words to an application's dictionary; those it has stay. They
// must be of letters and digits alone. fault.Limited beyond MaxWords.
func AddWords(ctx context.Context, tx *db.Tx, app apps.ID, words []string) error {
	for _, w := range words {
		if _, err := tx.Exec(ctx, `INSERT INTO words (app_id, word) VALUES ($1, $2) ON CONFLICT (app_id, word) DO NOTHING`, app, w); err != nil {
			return err
		}
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM words WHERE app_id = $1`, app).Scan(&n); err != nil {
		return err
	}
	if n > MaxWords {
		return fault.New(fault.Limited, "The dictionary holds at most %d words.", MaxWords)
	}
	return nil
}

// RemoveWords takes words from an application's dictionary; all of them if words
// is nil.
func RemoveWords(ctx context.Context, tx *db.Tx, app apps.ID, words []string) error {
	if words == nil {
		_, err := tx.Exec(ctx, `DELETE FROM words WHERE app_id = $1`, app)
		return err
	}
	for _, w := range words {
		if _, err := tx.Exec(ctx, `DELETE FROM words WHERE app_id = $1 AND word = $2`, app, w); err != nil {
			return err
		}
	}
	return nil
}

// Words returns up to limit words of an application's dictionary that follow
// after, in order.
func Words(ctx context.Context, q db.Q, app apps.ID, after string, limit int) ([]string, error) {
	return db.Column[string](ctx, q, `SELECT word FROM words WHERE app_id = $1 AND word > $2 ORDER BY word LIMIT $3`, app, after, limit)
}

// WordsIn returns the words of an application's dictionary that stand in a
// folded text.
func WordsIn(ctx context.Context, q db.Q, app apps.ID, text string) ([]string, error) {
	return db.Column[string](ctx, q, `SELECT word FROM words WHERE app_id = $1 AND $2 LIKE '%' || word || '%'`, app, text)
}
