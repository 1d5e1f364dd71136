package directory

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/internal/apps"
	"github.com/watchword-auth/watchword/internal/db"
	"github.com/watchword-auth/watchword/internal/fault"
)

// DeviceID names a device of a user in an application.
type DeviceID string

// DeviceStatus says whether a device may be asked and may answer.
type DeviceStatus string

const (
	DeviceActive    DeviceStatus = "active"
	DeviceBlocked   DeviceStatus = "blocked"
	DeviceSuspended DeviceStatus = "suspended"
)

// Browser is the platform of a device that is a page of the server's own: it has a
// key, and nobody can be asked on it.
const Browser = "browser"

// Device is a phone or browser whose key is bound to a user and an application.
type Device struct {
	ID            DeviceID
	Tenant        apps.TenantID
	App           apps.ID
	User          UserID
	Key           Key
	KeyID         string
	Name          string
	Platform      string
	OS            string
	OSVersion     string
	Model         string
	Manufacturer  string
	AppIdentifier string
	Status        DeviceStatus
	LastSeenAt    time.Time
	CreatedAt     time.Time
	Targets       []Target
}

// Target is where a device is reached. Address is a secret: who has it can
// make the phone ring.
type Target struct {
	ID            string
	Kind          string // "apns", "fcm", "webpush", "none"
	Address       string
	AppIdentifier string
}

// DisplayName is what people call the device.
func (d Device) DisplayName() string {
	return cmp.Or(d.Name, d.Model, d.Platform, "Phone")
}

// TargetKind is the kind of push channel that an SDK's word means: "APN",
// "Fcm", "webpush"; what is unknown is none, and the device asks by itself.
func TargetKind(word string) string {
	switch strings.ToLower(word) {
	case "apn", "apns", "ios":
		return "apns"
	case "fcm", "firebase", "android", "gcm":
		return "fcm"
	case "webpush", "web_push", "unifiedpush":
		return "webpush"
	}
	return "none"
}

// BindDevice registers a device's key for its user and application, or renews
// what is known of it when the same key is bound already; a blocked device stays
// blocked (fault.Denied). It returns the device's id.
func BindDevice(ctx context.Context, tx *db.Tx, d Device) (DeviceID, error) {
	d.ID = DeviceID(db.NewID("dev_"))
	var status DeviceStatus
	err := tx.QueryRow(ctx, `INSERT INTO devices (id, tenant_id, app_id, user_id, key_id, key_type, public_key, name, platform, os, os_version, model, manufacturer, app_identifier, status, last_seen_at, created_at, rev)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'active', $15, $15, 1)
		ON CONFLICT (app_id, user_id, key_id) DO UPDATE SET name = excluded.name, os_version = excluded.os_version, app_identifier = excluded.app_identifier,
			last_seen_at = excluded.last_seen_at, rev = devices.rev + 1
		RETURNING id, status`,
		d.ID, d.Tenant, d.App, d.User, d.Key.ID(), d.Key.Type(), d.Key.SPKI(), d.Name, d.Platform, d.OS, d.OSVersion, d.Model, d.Manufacturer, d.AppIdentifier, tx.Now()).
		Scan(&d.ID, &status)
	if err == nil && status != DeviceActive {
		return "", fault.New(fault.Denied, "This device is blocked.")
	}
	return d.ID, err
}

const deviceColumns = `id, tenant_id, app_id, user_id, key_id, public_key, name, platform, os, os_version, model, manufacturer, app_identifier, status, last_seen_at, created_at`

func scanDevice(scan func(...any) error) (Device, error) {
	var d Device
	var spki []byte
	err := scan(&d.ID, &d.Tenant, &d.App, &d.User, &d.KeyID, &spki, &d.Name, &d.Platform, &d.OS, &d.OSVersion, &d.Model, &d.Manufacturer, &d.AppIdentifier,
		&d.Status, db.Time(&d.LastSeenAt), db.Time(&d.CreatedAt))
	if err != nil {
		return d, err
	}
	if d.Key, err = ParseKeyDER(spki); err != nil {
		return d, fmt.Errorf("key of device %s: %w", d.ID, err)
	}
	return d, nil
}

// FindDevice returns a device without its targets; fault.NotFound if there is
// none.
func FindDevice(ctx context.Context, q db.Q, id DeviceID) (Device, error) {
	d, err := scanDevice(q.QueryRow(ctx, `SELECT `+deviceColumns+` FROM devices WHERE id = $1`, id).Scan)
	return d, db.None(err, "device")
}

// Devices returns the active devices of a user in an application with their
// targets, the one seen last first.
func Devices(ctx context.Context, q db.Q, app apps.ID, user UserID) ([]Device, error) {
	return devices(ctx, q, `SELECT `+deviceColumns+` FROM devices WHERE user_id = $1 AND app_id = $2 AND status = 'active' ORDER BY last_seen_at DESC, id`, user, app)
}

// AllDevices is Devices with those that are blocked or suspended.
func AllDevices(ctx context.Context, q db.Q, app apps.ID, user UserID) ([]Device, error) {
	return devices(ctx, q, `SELECT `+deviceColumns+` FROM devices WHERE user_id = $1 AND app_id = $2 ORDER BY last_seen_at DESC, id`, user, app)
}

// DevicesOf is AllDevices in every application of a tenant.
func DevicesOf(ctx context.Context, q db.Q, tenant apps.TenantID, user UserID) ([]Device, error) {
	return devices(ctx, q, `SELECT `+deviceColumns+` FROM devices WHERE user_id = $1 AND tenant_id = $2 ORDER BY last_seen_at DESC, id`, user, tenant)
}

// TargetKinds returns by which kinds of channel each device of a user is reached.
func TargetKinds(ctx context.Context, q db.Q, user UserID) (map[DeviceID][]string, error) {
	rows, err := q.Query(ctx, `SELECT t.device_id, t.kind FROM push_targets t JOIN devices d ON d.id = t.device_id WHERE d.user_id = $1 AND t.status = 'active' ORDER BY t.kind`, user)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[DeviceID][]string{}
	for rows.Next() {
		var id DeviceID
		var kind string
		if err := rows.Scan(&id, &kind); err != nil {
			return nil, err
		}
		out[id] = append(out[id], kind)
	}
	return out, rows.Err()
}

// RemoveDevice forgets a device and where it is reached; fault.NotFound if there
// is none. What was enrolled on it goes by authn.ForgetDevice.
func RemoveDevice(ctx context.Context, tx *db.Tx, id DeviceID) error {
	n, err := tx.Exec(ctx, `DELETE FROM devices WHERE id = $1`, id)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such device")
	}
	return err
}

// ForgetApp removes every device of an application.
func ForgetApp(ctx context.Context, tx *db.Tx, app apps.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM devices WHERE app_id = $1`, app)
	return err
}

// DevicesByKey returns the active devices that have this key in an
// application: one phone may serve several users.
func DevicesByKey(ctx context.Context, q db.Q, app apps.ID, keyID string) ([]Device, error) {
	return devices(ctx, q, `SELECT `+deviceColumns+` FROM devices WHERE app_id = $1 AND key_id = $2 AND status = 'active' ORDER BY id`, app, keyID)
}

// KeyOfOthers reports whether a device of another user in the application has this
// key, whatever its status.
func KeyOfOthers(ctx context.Context, q db.Q, app apps.ID, user UserID, keyID string) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM devices WHERE app_id = $1 AND key_id = $2 AND user_id <> $3`, app, keyID, user).Scan(&n)
	return n > 0, err
}

// Barred reports whether the device with this key may not act for the user: it
// is bound to them and blocked or suspended.
func Barred(ctx context.Context, q db.Q, app apps.ID, user UserID, keyID string) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM devices WHERE app_id = $1 AND user_id = $2 AND key_id = $3 AND status <> 'active'`, app, user, keyID).Scan(&n)
	return n > 0, err
}

func devices(ctx context.Context, q db.Q, query string, args ...any) ([]Device, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Device
	for rows.Next() {
		d, err := scanDevice(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Targets returns where a device is reached.
func Targets(ctx context.Context, q db.Q, device DeviceID) ([]Target, error) {
	rows, err := q.Query(ctx, `SELECT id, kind, address, app_identifier FROM push_targets WHERE device_id = $1 AND status = 'active' ORDER BY kind`, device)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Target
	for rows.Next() {
		var t Target
		var sealed []byte
		if err := rows.Scan(&t.ID, &t.Kind, &sealed, &t.AppIdentifier); err != nil {
			return nil, err
		}
		b, err := q.Vault().Open(targetPlace(device, t.Kind), sealed)
		if err != nil {
			return nil, err
		}
		t.Address = string(b)
		out = append(out, t)
	}
	return out, rows.Err()
}

// SetTarget says where a device is reached by one kind of channel from now on.
// It writes nothing when nothing changed. The caller must have checked that
// the device itself says so.
func SetTarget(ctx context.Context, tx *db.Tx, device DeviceID, t Target) error {
	if len(t.Address) > 4096 {
		return fault.New(fault.Invalid, "The push address is too long.")
	}
	if t.Kind == "apns" {
		t.Address = strings.ToLower(t.Address)
	}
	hash := tx.Vault().Hash("push_target", t.Address)
	var have string
	err := tx.QueryRow(ctx, `SELECT address_hash FROM push_targets WHERE device_id = $1 AND kind = $2 AND status = 'active'`, device, t.Kind).Scan(&have)
	if err == nil && have == hash {
		return nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO push_targets (id, device_id, kind, address, address_hash, app_identifier, status, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $7)
		ON CONFLICT (device_id, kind) DO UPDATE SET address = excluded.address, address_hash = excluded.address_hash, app_identifier = excluded.app_identifier,
			status = 'active', updated_at = excluded.updated_at`,
		db.NewID("tgt_"), device, t.Kind, tx.Vault().Seal(targetPlace(device, t.Kind), []byte(t.Address)), hash, t.AppIdentifier, tx.Now())
	return err
}

// DropTarget forgets a target that its provider called gone, if address is
// still what it holds.
func DropTarget(ctx context.Context, tx *db.Tx, id, address string) error {
	_, err := tx.Exec(ctx, `UPDATE push_targets SET status = 'gone', updated_at = $1 WHERE id = $2 AND address_hash = $3`, tx.Now(), id, tx.Vault().Hash("push_target", address))
	return err
}

// ClearTarget says that a device is not reached by one kind of channel any more.
func ClearTarget(ctx context.Context, tx *db.Tx, device DeviceID, kind string) error {
	_, err := tx.Exec(ctx, `UPDATE push_targets SET status = 'gone', updated_at = $1 WHERE device_id = $2 AND kind = $3`, tx.Now(), device, kind)
	return err
}

// ReplaceKey gives a device another key in place of the one that d has.
// fault.Conflict if the device has another already, or the new key is some
// device's of the same user.
func ReplaceKey(ctx context.Context, tx *db.Tx, d Device, key Key) error {
	var taken int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM devices WHERE app_id = $1 AND user_id = $2 AND key_id = $3`, d.App, d.User, key.ID()).Scan(&taken)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE devices SET key_id = $1, key_type = $2, public_key = $3, last_seen_at = $4, rev = rev + 1 WHERE id = $5 AND key_id = $6 AND status = 'active' AND $7 = 0`,
		key.ID(), key.Type(), key.SPKI(), tx.Now(), d.ID, d.KeyID, taken)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "The key of this phone was replaced already.")
	}
	return err
}

// Seen records that a device spoke.
func Seen(ctx context.Context, tx *db.Tx, id DeviceID) error {
	_, err := tx.Exec(ctx, `UPDATE devices SET last_seen_at = $1 WHERE id = $2`, tx.Now(), id)
	return err
}

// SetDeviceStatus blocks, suspends or revives a device; fault.NotFound if there
// is none.
func SetDeviceStatus(ctx context.Context, tx *db.Tx, id DeviceID, s DeviceStatus) error {
	n, err := tx.Exec(ctx, `UPDATE devices SET status = $1, rev = rev + 1 WHERE id = $2`, s, id)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such device")
	}
	return err
}

// RenameDevice gives a device another name, of 1 to 100 characters.
func RenameDevice(ctx context.Context, tx *db.Tx, id DeviceID, name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > 100 || hasHidden(name) {
		return fault.New(fault.Invalid, "A name has 1 to 100 characters.")
	}
	_, err := tx.Exec(ctx, `UPDATE devices SET name = $1, rev = rev + 1 WHERE id = $2`, name, id)
	return err
}

func targetPlace(device DeviceID, kind string) string {
	return "push_targets/address/" + string(device) + "/" + kind
}
