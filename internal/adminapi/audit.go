package adminapi

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword/internal/administrator"
	"github.com/watchword-auth/watchword/internal/audit"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/directory"
	"github.com/watchword-auth/watchword/internal/fault"
	"github.com/watchword-auth/watchword/internal/web"
)

// AuditItem is one thing that happened.
type AuditItem struct {
	ID         string         `json:"id"`
	At         Stamp          `json:"at"`
	Type       string         `json:"type"`
	Outcome    string         `json:"outcome"`
	Reason     string         `json:"reason"`
	Actor      string         `json:"actor"`
	ActorName  string         `json:"actor_name"`
	Target     string         `json:"target"`
	TargetName string         `json:"target_name"`
	App        string         `json:"app"`
	Client     string         `json:"client"`
	Run        string         `json:"run"`
	Device     string         `json:"device"`
	Address    string         `json:"address"`
	UserAgent  string         `json:"user_agent"`
	Browser    string         `json:"browser" doc:"The browser and system that the user agent claims to be, in words; empty if there is none."`
	Data       map[string]any `json:"data"`
}

// auditItem is an entry without the names of who it is about.
func auditItem(e audit.Entry) AuditItem {
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	return AuditItem{e.ID, Stamp(e.At), e.Type, e.Outcome, e.Reason, e.Actor, "", e.Target, "", e.App, e.Client, e.Run, e.Device, e.IP, e.UserAgent, browser(e.UserAgent), e.Data}
}

// browser is what a user agent claims to be, in words.
func browser(agent string) string {
	if agent == "" {
		return ""
	}
	return web.Browser(agent)
}

// auditItems names who each is about.
func auditItems(ctx context.Context, q db.Q, found []audit.Entry) ([]AuditItem, error) {
	seen := map[directory.UserID]bool{}
	var ids []directory.UserID
	for _, e := range found {
		for _, id := range []string{e.Actor, e.Target} {
			if u := directory.UserID(id); strings.HasPrefix(id, "usr_") && !seen[u] {
				seen[u] = true
				ids = append(ids, u)
			}
		}
	}
	names, err := directory.Labels(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	admins, err := administrator.List(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, a := range admins {
		names[a.ID] = a.Name
	}
	out := make([]AuditItem, 0, len(found))
	for _, e := range found {
		item := auditItem(e)
		item.ActorName, item.TargetName = names[directory.UserID(e.Actor)], names[directory.UserID(e.Target)]
		out = append(out, item)
	}
	return out, nil
}

// AuditFilter says which entries are meant. It is embedded.
type AuditFilter struct {
	Type    string    `query:"type" maxLength:"100" doc:"Exactly, or everything below it when it ends with a dot."`
	Outcome string    `query:"outcome" enum:"success,failure"`
	Actor   string    `query:"actor" maxLength:"320" doc:"Who did it: an id, or a name of a user or an administrator."`
	Target  string    `query:"target" maxLength:"320" doc:"What it was done to: an id, or a name of a user or an administrator."`
	App     string    `query:"app" maxLength:"100"`
	From    time.Time `query:"from"`
	To      time.Time `query:"to"`
	Q       string    `query:"q" maxLength:"320" doc:"A user's name or id, or a type."`
}

// filter is what the record is asked. What q says is a user's name, or else a type
// if it has a dot, or else whatever was done to somebody of that id.
func (f AuditFilter) filter(ctx context.Context, c *Call) (audit.Filter, error) {
	actor, err := c.whose(ctx, f.Actor)
	if err != nil {
		return audit.Filter{}, err
	}
	target, err := c.whose(ctx, f.Target)
	out := audit.Filter{Tenant: string(c.tenant()), App: f.App, Type: f.Type, Outcome: f.Outcome, Actor: actor, Target: target, From: f.From, Until: f.To}
	if err != nil || f.Q == "" {
		return out, err
	}
	u, err := directory.Lookup(ctx, c.Kit.DB, c.tenant(), f.Q)
	switch {
	case err == nil:
		out.Target = string(u.ID)
	case !fault.Is(err, fault.NotFound):
		return out, err
	case strings.Contains(f.Q, "."):
		out.Type = f.Q
	default:
		out.Target = f.Q
	}
	return out, nil
}

// whose is the id of the user or the administrator who goes by a name; of anything
// else, itself: it may be an id.
func (c *Call) whose(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	u, err := directory.Lookup(ctx, c.Kit.DB, c.tenant(), name)
	if err == nil {
		return string(u.ID), nil
	}
	if !fault.Is(err, fault.NotFound) {
		return "", err
	}
	admins, err := administrator.List(ctx, c.Kit.DB)
	for _, a := range admins {
		if strings.EqualFold(a.Name, name) || strings.EqualFold(a.Email, name) {
			return string(a.ID), nil
		}
	}
	return name, err
}

type auditIn struct {
	Page
	AuditFilter
}

func listAudit(ctx context.Context, c *Call, in *auditIn) (*list[AuditItem], error) {
	f, err := in.filter(ctx, c)
	if err != nil {
		return nil, err
	}
	return c.auditPage(ctx, f, in.Page)
}

func (c *Call) auditPage(ctx context.Context, f audit.Filter, p Page) (*list[AuditItem], error) {
	if err := c.opened(p.Cursor, &f.Before); err != nil {
		return nil, err
	}
	f.Limit = p.Limit
	found, next, err := audit.Page(ctx, c.Kit.DB, f)
	if err != nil {
		return nil, err
	}
	all, err := auditItems(ctx, c.Kit.DB, found)
	out := items(all)
	if next != "" {
		out.Body.Next = c.seal(next)
	}
	return out, err
}

type timelineIn struct {
	Page
	InUser
	Type    string    `query:"type" maxLength:"100" doc:"Exactly, or everything below it when it ends with a dot."`
	Outcome string    `query:"outcome" enum:"success,failure"`
	From    time.Time `query:"from"`
	To      time.Time `query:"to"`
}

func timeline(ctx context.Context, c *Call, in *timelineIn) (*list[AuditItem], error) {
	u, err := c.user(ctx, c.Kit.DB, in.User)
	if err != nil {
		return nil, err
	}
	return c.auditPage(ctx, audit.Filter{Tenant: string(c.tenant()), Target: string(u.ID), Type: in.Type, Outcome: in.Outcome, From: in.From, Until: in.To}, in.Page)
}

type auditExportIn struct {
	AuditFilter
	Format string `query:"format" enum:"jsonl,csv" default:"jsonl"`
}

// maxExport bounds one export; who wants more asks for a shorter time.
const maxExport = 200_000

// exportAudit streams the record, the newest first. That somebody took it along
// is recorded, too.
func exportAudit(ctx context.Context, c *Call, in *auditExportIn) (*huma.StreamResponse, error) {
	f, err := in.filter(ctx, c)
	if err != nil {
		return nil, err
	}
	err = c.Kit.DB.Tx(ctx, func(tx *db.Tx) error { return c.record(ctx, tx, "", map[string]any{"format": in.Format}) })
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", map[string]string{"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}[in.Format])
		h.SetHeader("Content-Disposition", `attachment; filename="audit.`+in.Format+`"`)
		h.SetStatus(http.StatusOK)
		w := bufio.NewWriter(h.BodyWriter())
		defer w.Flush()
		write := lineWriter(w, in.Format)
		for n := 0; n < maxExport; {
			f.Limit = 500
			found, next, err := audit.Page(ctx, c.Kit.DB, f)
			if err != nil {
				return // the end is missing; nothing else can be said by now
			}
			for _, e := range found {
				if write(auditItem(e)) != nil {
					return
				}
			}
			if n += len(found); next == "" {
				return
			}
			f.Before = next
		}
	}}, nil
}

func lineWriter(w *bufio.Writer, format string) func(AuditItem) error {
	if format == "jsonl" {
		enc := json.NewEncoder(w)
		return func(i AuditItem) error { return enc.Encode(i) }
	}
	rows := csv.NewWriter(w)
	rows.Write([]string{"id", "at", "type", "outcome", "reason", "actor", "target", "app", "client", "run", "device", "address", "user_agent", "data"})
	return func(i AuditItem) error {
		at := time.Time(i.At).UTC().Format(time.RFC3339Nano)
		row := []string{i.ID, at, i.Type, i.Outcome, i.Reason, i.Actor, i.Target, i.App, i.Client, i.Run, i.Device, i.Address, i.UserAgent, db.Text(i.Data)}
		for n, cell := range row {
			row[n] = harmless(cell)
		}
		rows.Write(row)
		rows.Flush()
		return rows.Error()
	}
}

// harmless keeps a spreadsheet from taking what a client sent for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// AuditVerdict is whether the record is as it was written.
type AuditVerdict struct {
	Intact  bool   `json:"intact"`
	Checked int64  `json:"checked"`
	Waiting int64  `json:"waiting"`
	Problem string `json:"problem"`
	Seq     int64  `json:"seq"`
}

func verifyAudit(ctx context.Context, c *Call, _ *empty) (*body[AuditVerdict], error) {
	v, err := audit.Verify(ctx, c.Kit.DB)
	return answer(AuditVerdict{v.Intact, v.Checked, v.Waiting, v.Problem, v.Seq}), err
}
