package adminapi

import (
	"slices"

	"github.com/watchword-auth/watchword/internal/directory"
)

// routes are all of them.
func routes() []Route { return slices.Concat(table(), journeyRoutes(), runRoutes()) }

// Table is every route with who may call it, for tests.
func Table() []Route { return routes() }

// table is the API but for what other files add.
func table() []Route {
	return []Route{
		{"GET /session", "Who is signed in", open, "", serve(getSession)},
		{"POST /session/invitation", "Sign in by a one-time link", open, "admin.session.started", serve(redeemInvitation)},
		{"POST /session/passkey/start", "Begin to sign in by a passkey", open, "", serve(startPasskey)},
		{"POST /session/passkey", "Sign in by a passkey", open, "admin.session.started", serve(signInByPasskey)},
		{"POST /session/step-up/start", "Begin to confirm with a passkey", everyone | bare, "", serve(startPasskey)},
		{"POST /session/step-up", "Confirm with a passkey", everyone | bare, "admin.session.confirmed", serve(stepUp)},
		{"DELETE /session", "Sign out", open, "admin.session.ended", serve(signOut)},
		{"PUT /session/tenant", "Manage another tenant", everyone | server, "admin.session.moved", serve(manageTenant)},
		{"GET /me/passkeys", "List your passkeys", everyone | bare, "", serve(myPasskeys)},
		{"POST /me/passkeys/start", "Begin to add a passkey", everyone | bare, "", serve(startMyPasskey)},
		{"POST /me/passkeys", "Add a passkey", everyone | bare, "admin.passkey.added", serve(addMyPasskey)},
		{"DELETE /me/passkeys/{id}", "Remove a passkey", everyone | fresh | server, "admin.passkey.removed", serve(removeMyPasskey)},
		{"GET /administrators", "List administrators", auditor | server, "", serve(listAdministrators)},
		{"POST /administrators", "Invite an administrator", owner | fresh | server, "admin.administrator.invited", serve(inviteAdministrator)},
		{"POST /administrators/{id}/invitation", "Make a new link for an administrator", owner | fresh | server, "admin.administrator.invited_again", serve(inviteAgain)},
		{"PATCH /administrators/{id}", "Give an administrator another role", owner | fresh | server, "admin.administrator.changed", serve(changeRole)},
		{"DELETE /administrators/{id}", "Remove an administrator", owner | fresh | server, "admin.administrator.removed", serve(removeAdministrator)},

		{"GET /catalog", "What can be configured", everyone | server, "", serve(getCatalog)},

		{"GET /apps", "List the applications", everyone, "", serve(listApps)},
		{"POST /apps", "Add an application", applicationAdmin, "admin.app.created", serve(createApp)},
		{"GET /apps/{app}", "Get an application", everyone, "", serve(getApp)},
		{"PATCH /apps/{app}", "Change an application", applicationAdmin, "admin.app.changed", serve(changeApp)},
		{"DELETE /apps/{app}", "Delete an application", applicationAdmin | fresh, "admin.app.deleted", serve(deleteApp)},
		{"GET /apps/{app}/clients", "List the clients of an application", readers, "", serve(listClients)},
		{"POST /apps/{app}/clients", "Add a client", applicationAdmin | fresh, "admin.client.created", serve(createClient)},
		{"GET /apps/{app}/clients/{client}", "Get a client", readers, "", serve(getClient)},
		{"PUT /apps/{app}/clients/{client}", "Change a client", applicationAdmin | fresh, "admin.client.changed", serve(putClient)},
		{"DELETE /apps/{app}/clients/{client}", "Delete a client", applicationAdmin | fresh, "admin.client.deleted", serve(deleteClient)},
		{"POST /apps/{app}/clients/{client}/secret", "Make a new secret for a client", applicationAdmin | fresh, "admin.client.secret_rotated", serve(rotateSecret)},

		{"GET /methods", "List the settings of every method for the tenant", readers, "", serve(listTenantMethods)},
		{"GET /methods/{kind}", "Get the settings of a method for the tenant", readers, "", serve(getTenantMethod)},
		{"PUT /methods/{kind}", "Set a method for the tenant", security, "admin.method.changed", serve(putTenantMethod)},
		{"DELETE /methods/{kind}", "Set nothing of a method for the tenant", security, "admin.method.inherited", serve(inheritTenantMethod)},
		{"POST /methods/{kind}/check", "Check settings without storing them", readers, "", serve(checkTenantMethod)},
		{"POST /methods/{kind}/simulate", "See what failures would lead to", readers, "", serve(simulateTenantMethod)},
		{"GET /apps/{app}/methods", "List the settings of every method for an application", readers, "", serve(listAppMethods)},
		{"GET /apps/{app}/methods/{kind}", "Get the settings of a method for an application", readers, "", serve(getAppMethod)},
		{"PUT /apps/{app}/methods/{kind}", "Set a method for an application", security, "admin.method.changed", serve(putAppMethod)},
		{"DELETE /apps/{app}/methods/{kind}", "Inherit the settings of a method from the tenant", security, "admin.method.inherited", serve(inheritAppMethod)},
		{"POST /apps/{app}/methods/{kind}/check", "Check settings without storing them", readers, "", serve(checkAppMethod)},
		{"POST /apps/{app}/methods/{kind}/messages", "See what a method says to people", readers, "", serve(previewMessages)},
		{"POST /apps/{app}/methods/{kind}/simulate", "See what failures would lead to", readers, "", serve(simulateAppMethod)},

		{"GET /users", "Find users", watchers, "", serve(listUsers)},
		{"POST /users", "Add a user", people, "admin.user.created", serve(createUser)},
		{"GET /users/{id}", "Get a user", watchers, "", serve(getUser)},
		{"PATCH /users/{id}", "Change a user", people, "admin.user.changed", serve(changeUser)},
		{"DELETE /users/{id}", "Delete a user", security | fresh, "admin.user.deleted", serve(deleteUser)},
		{"POST /users/{id}/identifiers", "Give a user another name", people | fresh, "admin.user.name_added", serve(addIdentifier)},
		{"DELETE /users/{id}/identifiers/{kind}/{value}", "Take a name from a user", people, "admin.user.name_removed", serve(removeIdentifier)},
		{"PUT /users/{id}/identifiers/{kind}/{value}", "Put another name in the place of one", people | fresh, "admin.user.name_changed", serve(changeIdentifier)},
		{"POST /users/{id}/identifiers/{kind}/{value}/verify", "Take a name for verified", people | fresh, "admin.user.name_verified", serve(verifyIdentifier)},
		{"POST /users/{id}/identifiers/{kind}/{value}/primary", "Make a name the one that a user is reached by", people | fresh, "admin.user.name_promoted", serve(promoteIdentifier)},
		{"GET /users/{id}/authenticators", "List what can prove a user", watchers, "", serve(listAuthenticators)},
		{"POST /users/{id}/authenticators/{aid}/lock", "Lock an authenticator", people, "admin.authenticator.locked", serve(lockAuthenticator)},
		{"POST /users/{id}/authenticators/{aid}/unlock", "Unlock an authenticator", people, "admin.authenticator.unlocked", serve(unlockAuthenticator)},
		{"PATCH /users/{id}/authenticators/{aid}", "Rename an authenticator", people, "admin.authenticator.renamed", serve(renameAuthenticator)},
		{"DELETE /users/{id}/authenticators/{aid}", "Revoke an authenticator", people | fresh, "admin.authenticator.revoked", serve(removeAuthenticator)},
		{"POST /users/{id}/unlock", "Unlock every authenticator of a kind", people, "admin.user.unlocked", serve(unlockUser)},
		{"GET /users/{id}/actions", "List what can be done for a user", watchers, "", serve(listActions)},
		{"POST /users/{id}/actions/{action}", "Do something for a user", people | fresh, "admin.user.helped", serve(act)},
		{"GET /users/{id}/devices", "List the devices of a user", watchers, "", serve(listDevices)},
		{"POST /users/{id}/devices/{did}/block", "Block a device", people, "admin.device.blocked", serve(setDevice(directory.DeviceBlocked))},
		{"POST /users/{id}/devices/{did}/unblock", "Unblock a device", people, "admin.device.unblocked", serve(setDevice(directory.DeviceActive))},
		{"DELETE /users/{id}/devices/{did}", "Forget a device", people | fresh, "admin.device.removed", serve(removeDevice)},
		{"GET /users/{id}/sessions", "List the sessions of a user", watchers, "", serve(listSessions)},
		{"DELETE /users/{id}/sessions/{sid}", "End a session", people, "admin.session.revoked", serve(endSession)},
		{"DELETE /users/{id}/sessions", "End every session of a user", people, "admin.session.all_revoked", serve(endSessions)},
		{"GET /users/{id}/timeline", "What happened to a user", watchers, "", serve(timeline)},

		{"GET /overview", "What happened lately", everyone, "", serve(getOverview)},
		{"GET /settings", "Get the settings of the tenant", readers, "", serve(getSettings)},
		{"PUT /settings", "Change the settings of the tenant", owner, "admin.settings.changed", serve(putSettings)},

		{"GET /apps/{app}/organisations", "List organisations", readers | helpdesk, "", serve(listOrganisations)},
		{"POST /apps/{app}/organisations", "Add an organisation", applicationAdmin, "admin.organisation.created", serve(createOrganisation)},
		{"GET /apps/{app}/organisations/{org}", "Get an organisation", readers | helpdesk, "", serve(getOrganisation)},
		{"PATCH /apps/{app}/organisations/{org}", "Change an organisation", applicationAdmin, "admin.organisation.changed", serve(changeOrganisation)},
		{"DELETE /apps/{app}/organisations/{org}", "Delete an organisation", applicationAdmin | fresh, "admin.organisation.deleted", serve(deleteOrganisation)},
		{"GET /apps/{app}/organisations/{org}/members", "List the members of an organisation", watchers | applicationAdmin, "", serve(listMembers)},
		{"GET /apps/{app}/organisations/{org}/candidates", "Find users who could be members", applicationAdmin, "", serve(listCandidates)},
		{"PUT /apps/{app}/organisations/{org}/members/{user}", "Make a user a member", applicationAdmin, "admin.member.set", serve(putMember)},
		{"DELETE /apps/{app}/organisations/{org}/members/{user}", "End a membership", applicationAdmin, "admin.member.removed", serve(removeMember)},

		{"GET /providers", "List providers", readers, "", serve(listProviders)},
		{"PUT /providers/{kind}/{name}", "Set a provider", security | fresh, "admin.provider.changed", serve(putProvider)},
		{"DELETE /providers/{kind}/{name}", "Delete a provider", security | fresh, "admin.provider.deleted", serve(deleteProvider)},
		{"POST /providers/{kind}/{name}/test", "Test a provider", security, "admin.provider.tested", serve(testProvider)},

		{"GET /apps/{app}/branding", "Get the branding of an application", readers, "", serve(getBranding)},
		{"PUT /apps/{app}/branding", "Change the branding of an application", applicationAdmin, "admin.branding.changed", serve(putBranding)},
		{"PUT /apps/{app}/branding/logo", "Set the logo of an application", applicationAdmin | image, "admin.branding.changed", serve(putLogo)},
		{"DELETE /apps/{app}/branding/logo", "Remove the logo of an application", applicationAdmin, "admin.branding.changed", serve(removeLogo)},
		{"GET /apps/{app}/branding/preview", "See a page as users see it", readers, "", serve(previewBranding)},

		{"GET /webhooks", "List webhooks", records, "", serve(listWebhooks)},
		{"POST /webhooks", "Add a webhook", security | fresh, "admin.webhook.created", serve(createWebhook)},
		{"GET /webhooks/{id}", "Get a webhook", records, "", serve(getWebhook)},
		{"PATCH /webhooks/{id}", "Change a webhook", security | fresh, "admin.webhook.changed", serve(changeWebhook)},
		{"DELETE /webhooks/{id}", "Delete a webhook", security | fresh, "admin.webhook.deleted", serve(deleteWebhook)},
		{"POST /webhooks/{id}/test", "Test a webhook", security, "admin.webhook.tested", serve(testWebhook)},
		{"GET /webhooks/{id}/deliveries", "List attempts to tell a webhook", records, "", serve(listDeliveries)},
		{"POST /webhooks/{id}/deliveries/{delivery}/again", "Tell a webhook again", security, "admin.webhook.retold", serve(tellAgain)},

		{"GET /audit", "Read the record", records, "", serve(listAudit)},
		{"GET /audit/export", "Export the record", records, "admin.audit.exported", serve(exportAudit)},
		{"GET /audit/verify", "Check that the record is as it was written", records, "", serve(verifyAudit)},
		{"GET /keys", "List the signing keys", records | server, "", serve(listKeys)},
		{"POST /keys/rotate", "Make a new signing key", security | fresh | server, "admin.key.rotated", serve(rotateKeys)},
	}
}
