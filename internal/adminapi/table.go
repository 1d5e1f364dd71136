package adminapi

import "slices"

// routes are all of them.
func routes() []Route { return slices.Concat(table(), journeyRoutes(), runRoutes()) }

// Table is every route with who may call it, for tests and for the description.
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
		{"POST /apps/{app}/clients", "Add a client", applicationAdmin, "admin.client.created", serve(createClient)},
		{"GET /apps/{app}/clients/{client}", "Get a client", readers, "", serve(getClient)},
		{"PUT /apps/{app}/clients/{client}", "Change a client", applicationAdmin, "admin.client.changed", serve(putClient)},
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
		{"POST /apps/{app}/methods/{kind}/simulate", "See what failures would lead to", readers, "", serve(simulateAppMethod)},
	}
}
