package apps

import (
	"slices"

	"github.com/watchword-auth/watchword/internal/form"
)

// ClientForm describes ClientSettings to whoever draws them. What a combination
// means is checked by SaveClient.
func ClientForm() form.Form {
	rows := func(label string) form.Form { return form.New(form.Text("", label, form.MaxLen(2000))) }
	list := func(name, label, row, help string) form.Field {
		return form.List(name, label, rows(row), form.Between(0, 100), form.Help(help))
	}
	return form.New(slices.Concat(
		form.Under("Addresses",
			list("redirect_uris", "Redirect addresses", "Address", "The exact addresses a sign-in may return to. The port of a loopback address may be *."),
			list("post_logout_redirect_uris", "Addresses after sign-out", "Address", "Where a browser may go after it was signed out."),
			form.Text("backchannel_logout_uri", "Back-channel logout address", form.Help("Is told when a session ends.")),
			list("origins", "Web origins", "Origin", "Pages that may call the SDK doors, beside those of the redirect addresses: https://shop.example.org."),
			form.Boolean("loopback_origins", "Pages on this machine may call", form.Help("Any port of localhost. For development.")),
		),
		form.Under("Sign-in",
			form.Journey("journey", "Sign-in journey", "client", form.Or("sso"), form.MaxLen(100), form.Help("Runs at the authorization endpoint. Empty: sign_in.")),
			form.Object("acr_journeys", "Journeys by level", form.Help("Which journey runs for an acr that is asked for.")),
			form.Journey("phone_journey", "Journey that sets up a phone", "client", form.MaxLen(100), form.Help("For an app on a device: runs in the phone app for whoever has no link. Empty: mobile_app_registration.")),
			form.Text("login_uri", "Sign-in page of your own", form.Help("Gets interaction_id, or requestId if the client is a cidaas one. Empty: ours.")),
			form.Boolean("third_party", "Ask every user for consent"),
		),
		form.Under("What it may ask for",
			form.Choices("grants", "Grants", Grants, form.Named, form.Read(GrantCode, "Code of a sign-in", GrantRefresh, "Refresh token", GrantClient, "The client alone", GrantDevice, "Code of a device", GrantCIBA, "Backchannel (CIBA)", GrantExchange, "Exchange of tokens"), form.Help("Empty: authorization_code and refresh_token and, for a back end, client_credentials.")),
			list("scopes", "Scopes", "Scope", "Empty: openid, profile, email, address, phone and offline_access."),
			list("resources", "Audiences", "Audience", "What tokens may be asked for (RFC 8707)."),
			list("authorization_details_types", "Types of authorization details", "Type", "RFC 9396."),
			list("permissions", "Permissions", "Permission", "What a back end may do through the identity API: users:read, users:*."),
			form.Object("claims", "More claims", form.Help("A name of the identity token, and the custom datum of the user that it shows.")),
		),
		form.Under("How it says who it is",
			form.Choice("token_endpoint_auth_method", "How the client says who it is", []string{"none", "client_secret", "private_key_jwt", "self_signed_tls_client_auth"}, form.Named, form.Read("none", "Not at all", "client_secret", "By its secret", "private_key_jwt", "By a signature", "self_signed_tls_client_auth", "By its certificate"), form.Help("Empty: by its secret if it is a back end, else not at all.")),
			form.Text("jwks", "Key set", form.Lines, form.MaxLen(32<<10), form.Help("The client's public keys, as JSON.")),
			form.Text("jwks_uri", "Address of the key set"),
			list("certificates", "Certificates", "Thumbprint", "SHA-256 in base64url (RFC 8705)."),
			form.Choice("token_endpoint_auth_signing_alg", "Signature of who the client is", Algs, form.Help("Of private_key_jwt. Empty: any of these.")),
		),
		form.Under("Stricter than the default",
			form.Choice("profile", "Profile", []string{FAPI2}, form.Named, form.Read(FAPI2, "FAPI 2.0 Security Profile"), form.Help("fapi2, the FAPI 2.0 Security Profile: only pushed requests, a key or certificate instead of a secret, tokens bound to one, signatures by ES256, PS256 or EdDSA, exact redirect addresses.")),
			form.Boolean("require_pushed_authorization_requests", "Only pushed requests", form.Help("RFC 9126.")),
			form.Boolean("require_signed_request_object", "Only signed requests", form.Help("RFC 9101.")),
			form.Choice("request_object_signing_alg", "Signature of the client's requests", Algs, form.Help("Also of backchannel requests. Empty: any of these.")),
			form.Boolean("dpop_bound_access_tokens", "Only tokens bound to a key", form.Help("DPoP, RFC 9449.")),
			form.Boolean("require_dpop_nonce", "Only DPoP proofs with a nonce of ours", form.Help("So that no proof was made before. The profile fapi2 has it.")),
			form.Choice("id_token_signed_response_alg", "Signature of identity tokens", []string{"ES256", "RS256"}, form.Help("Empty: ES256, or RS256 for a cidaas client.")),
		),
		form.Under("Backchannel (CIBA)",
			form.Choice("backchannel_token_delivery_mode", "How a CIBA client learns of the end", []string{"poll", "ping", "push"}, form.Named, form.Read("poll", "It asks again and again", "ping", "It is called, and asks", "push", "It is told everything")),
			form.Text("backchannel_client_notification_endpoint", "CIBA notification address"),
			form.Boolean("backchannel_user_code", "CIBA requests carry the user's code"),
		),
		form.Under("cidaas",
			form.Boolean("cidaas", "Uses the cidaas SDKs", form.Help("PKCE is optional then.")),
			list("allowed_methods", "Methods of a cidaas client", "Method", "In the words of that protocol. Empty: all."),
			form.Boolean("implicit", "Tokens in addresses", form.Help("Removed in OAuth 2.1. For old cidaas clients only.")),
		),
	)...)
}
