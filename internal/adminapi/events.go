package adminapi

import (
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/authn"
)

// EventInfo says in words what a type of event tells. A star in the type stands for
// the kind of a method, and {method} in the title for what that method is called.
type EventInfo struct {
	Type  string `json:"type"`
	Title string `json:"title"`
}

// eventInfos are the types that are recorded, each with its words; a test holds them
// to the source. Whoever shows a type that is not here shows its name.
var eventInfos = []EventInfo{
	{"admin.administrator.changed", "Administrator changed"},
	{"admin.administrator.invited", "Administrator invited"},
	{"admin.administrator.invited_again", "New link for an administrator"},
	{"admin.administrator.removed", "Administrator removed"},
	{"admin.app.changed", "Application changed"},
	{"admin.app.created", "Application added"},
	{"admin.app.deleted", "Application deleted"},
	{"admin.audit.exported", "Record exported"},
	{"admin.authenticator.locked", "Authenticator locked by hand"},
	{"admin.authenticator.renamed", "Authenticator renamed by hand"},
	{"admin.authenticator.revoked", "Authenticator revoked by hand"},
	{"admin.authenticator.unlocked", "Authenticator unlocked by hand"},
	{"admin.branding.changed", "Branding changed"},
	{"admin.client.changed", "Client changed"},
	{"admin.client.created", "Client added"},
	{"admin.client.deleted", "Client deleted"},
	{"admin.client.secret_rotated", "New secret for a client"},
	{"admin.device.blocked", "Device blocked by hand"},
	{"admin.device.removed", "Device forgotten by hand"},
	{"admin.device.unblocked", "Device unblocked by hand"},
	{"admin.journey.created", "Journey begun"},
	{"admin.journey.deleted", "Journey deleted"},
	{"admin.journey.disabled", "Journey disabled"},
	{"admin.journey.draft_dropped", "Draft dropped"},
	{"admin.journey.drawn", "Draft saved"},
	{"admin.journey.published", "Journey published"},
	{"admin.journey.restored", "Version made the draft"},
	{"admin.journey.rolled_back", "Journey rolled back"},
	{"admin.journey.test_link", "Test link made"},
	{"admin.journey.tried", "Draft tried"},
	{"admin.journey.try_answered", "Try of a draft answered"},
	{"admin.journey.try_ended", "Try of a draft ended"},
	{"admin.key.rotated", "New signing key"},
	{"admin.member.removed", "Member removed"},
	{"admin.member.set", "Member set"},
	{"admin.method.changed", "Method changed"},
	{"admin.method.inherited", "Method inherited again"},
	{"admin.organisation.changed", "Organisation changed"},
	{"admin.organisation.created", "Organisation added"},
	{"admin.organisation.deleted", "Organisation deleted"},
	{"admin.passkey.added", "Passkey of an administrator added"},
	{"admin.passkey.removed", "Passkey of an administrator removed"},
	{"admin.provider.changed", "Provider set"},
	{"admin.provider.deleted", "Provider deleted"},
	{"admin.provider.tested", "Provider tested"},
	{"admin.session.all_revoked", "All sessions ended by hand"},
	{"admin.session.confirmed", "Administrator confirmed by passkey"},
	{"admin.session.ended", "Administrator signed out"},
	{"admin.session.moved", "Administrator went to another tenant"},
	{"admin.session.revoked", "Session ended by hand"},
	{"admin.session.started", "Administrator signed in"},
	{"admin.settings.changed", "Settings changed"},
	{"admin.user.changed", "User changed by hand"},
	{"admin.user.created", "User added by hand"},
	{"admin.user.deleted", "User deleted by hand"},
	{"admin.user.helped", "User helped"},
	{"admin.user.name_added", "Name of a user added"},
	{"admin.user.name_changed", "Name of a user changed"},
	{"admin.user.name_promoted", "Name of a user made the main one"},
	{"admin.user.name_removed", "Name of a user removed"},
	{"admin.user.name_verified", "Name of a user taken for verified"},
	{"admin.user.unlocked", "User unlocked"},
	{"admin.webhook.changed", "Webhook changed"},
	{"admin.webhook.created", "Webhook added"},
	{"admin.webhook.deleted", "Webhook deleted"},
	{"admin.webhook.retold", "Webhook told again"},
	{"admin.webhook.tested", "Webhook tested"},
	{"attestation.failed", "Key refused: its origin is not proven"},
	{"auth.*.failed", "{method}: did not match"},
	{"auth.*.locked", "{method}: locked"},
	{"auth.*.succeeded", "{method}: proven"},
	{"auth.*.unlocked", "{method}: unlocked"},
	{"authenticator.locked", "Authenticator locked"},
	{"authenticator.registered", "Authenticator set up"},
	{"authenticator.renamed", "Authenticator renamed"},
	{"authenticator.revoked", "Authenticator revoked"},
	{"authenticator.unlocked", "Authenticator unlocked"},
	{"client.refused", "Client refused"},
	{"config.applied", "Configuration files applied"},
	{"config.method", "Method changed by a program"},
	{"consent.given", "Consent given"},
	{"consent.withdrawn", "Consent withdrawn"},
	{"device.block", "Device blocked"},
	{"device.delete", "Device deleted"},
	{"device.key_rotated", "New key of a device"},
	{"device.owner_changed", "Device has another owner"},
	{"device.registered", "Device set up"},
	{"device.removed", "Device removed"},
	{"device.renamed", "Device renamed"},
	{"device.trusted", "Browser remembered"},
	{"device.untrusted", "Browsers forgotten"},
	{"grant.made", "Access granted"},
	{"grant.revoked", "Access withdrawn"},
	{"journey.completed", "Journey completed"},
	{"journey.registered", "Journey completed, without a sign-in"},
	{"journey.rejected", "Journey rejected"},
	{"passkey.counter_regressed", "Passkey may have been copied"},
	{"password.changed", "Password changed"},
	{"password.reset", "Password reset"},
	{"password.set", "Password set"},
	{"password.unchecked", "Password not looked up among leaked ones"},
	{"phone.invited", "Phone invited"},
	{"push.acknowledged", "Push request seen by the phone"},
	{"push.allowed", "Push request opened"},
	{"push.approved", "Push request approved"},
	{"push.cancelled", "Push request cancelled"},
	{"push.denied", "Push request denied"},
	{"push.expired", "Push request expired"},
	{"push.reported", "Push request reported: not me"},
	{"push.requested", "Push request sent"},
	{"recovery.used", "Recovery code used"},
	{"session.all_ended", "All sessions ended"},
	{"session.ended", "Signed out"},
	{"session.started", "Signed in"},
	{"token.issued", "Tokens issued"},
	{"user.active", "User active again"},
	{"user.address_verified", "Address verified"},
	{"user.changed", "User changed"},
	{"user.contact_changed", "Contact of a user changed"},
	{"user.created", "User added"},
	{"user.suspended", "User suspended"},
	{"webhook.test", "Test of a webhook"},
}

// ReasonInfo says in words why something came as it did: of an event, of the end of a
// run, or of what was refused in one.
type ReasonInfo struct {
	Reason string `json:"reason"`
	Title  string `json:"title"`
}

// reasonInfos are the reasons that the server gives by itself, each with its words; a
// test holds them to the source. A journey, a back end or an operator may give others,
// which are shown as they are; a user who was added by a method has its kind.
var reasonInfos = []ReasonInfo{
	{"access_rejected", "Access was not granted"},
	{"another client", "The code came from another client"},
	{"any", "Every lock was taken away"},
	{"asked", "The client asked for it"},
	{"authorization_code", "For a code"},
	{"automatic", "Locks after failures were taken away"},
	{"cancelled", "Cancelled"},
	{"carried", "For the code of a page"},
	{"ciba", "After an approval in the background"},
	{"code refused", "The code was not for this request"},
	{"conflict", "Somebody else was faster"},
	{"console", "By hand in the console"},
	{"consumed", "The approval was used before"},
	{"denied", "Denied"},
	{"device", "For a code that was typed in"},
	{"expired", "It ran out"},
	{"invalid", "It was not as it must be"},
	{"invalid_client", "The client is unknown, or did not show who it is"},
	{"invalid_grant", "The code is unknown, was used, has run out, or was for somebody else"},
	{"invalid_request", "The request was not as it must be"},
	{"invalid_scope", "The scope is not one it may ask for"},
	{"invalid_target", "It may not ask for that resource"},
	{"journey", "By a journey"},
	{"limited", "Too many requests"},
	{"locked", "Locked after failures"},
	{"loop", "The journey goes in circles"},
	{"manual", "Locks set by hand were taken away"},
	{"missing", "Nothing vouched for the key"},
	{"no_devices", "No phone is registered"},
	{"no_journey", "There is no such journey, or it is not published"},
	{"nobody", "Nobody goes by this name"},
	{"not_authenticated", "The phone did not confirm its owner"},
	{"not_found", "There is no such thing"},
	{"not_me", "Reported: not me"},
	{"origin", "The origin is not one of the client's"},
	{"password_breached", "The password is among leaked ones"},
	{"password_expired", "The password ran out"},
	{"password_temporary", "The password was a temporary one"},
	{"permanent", "Until somebody unlocks it"},
	{"redirect_uri", "The address to return to is not one of the client's"},
	{"registration_failed", "Nothing was registered"},
	{"request_uri_not_supported", "Requests are not fetched"},
	{"reuse", "It was used before"},
	{"service_away", "The list of leaked passwords was away"},
	{"tier", "For the time of its tier"},
	{"unauthorized_client", "The client may not do that"},
	{"unavailable", "Something that is needed was away"},
	{"unknown_client", "Nobody goes by this client id"},
	{"unmet_authentication_requirements", "It was not strong enough"},
	{"unsupported_grant_type", "There is no such grant"},
	{"unsupported_response_type", "There is no such response type"},
	{"user_already_exists", "Somebody already goes by that name"},
	{"wrong", "It did not match"},
	{"wrong_number", "The wrong number was chosen"},
}

// eventTypes are what the record and webhooks can be filtered by: families, which
// end with a dot, and every type.
func eventTypes() []string {
	var out []string
	for _, e := range eventInfos {
		out = append(out, e.Type[:strings.Index(e.Type, ".")+1])
		if !strings.Contains(e.Type, "*") {
			out = append(out, e.Type)
			continue
		}
		for _, m := range authn.Methods() {
			out = append(out, strings.Replace(e.Type, "*", string(m.Kind), 1))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
