package adminapi

import "slices"

// routes are all of them.
func routes() []Route { return slices.Concat(table()) }

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
	}
}
