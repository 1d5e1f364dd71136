// Package kit is the toolbox that the server hands to every part. It holds the
// platform and nothing of the product: no users, no journeys, no methods.
package kit

import (
	"log/slog"

	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/jobs"
)

// Kit is the platform in one value. The server fills it once at start; nobody
// changes it afterwards.
type Kit struct {
	DB   *db.DB
	Log  *slog.Logger
	URL  string // where the world reaches this server, without a slash at the end
	Jobs *jobs.Worker
	Dev  bool  // messages are captured, not sent
	Crew *Crew // runs what needs a deep stack; nil runs it in place
}
