// The shapes of the admin API, by hand until they are generated from its
// OpenAPI document.

export type Role = 'owner' | 'security_admin' | 'application_admin' | 'helpdesk' | 'auditor';

export type Session = {
  administrator: { id: string; name: string; email: string; role: Role } | null;
  /** The calls that the role allows. */
  may: string[];
  needs_passkey: boolean; fresh_until: string | null; expires_at: string | null;
  tenant: { id: string; name: string } | null; tenants: { id: string; name: string }[];
  dev: boolean; version: string; base: string; first_run: boolean;
};
export type Ceremony = { options: unknown; ticket: string };
export type Passkey = { id: string; label: string; created_at: string; used_at: string | null };
export type Administrator = { id: string; name: string; email: string; role: Role; status: 'active' | 'invited'; last_seen_at: string | null; created_at: string };

export type Field = {
  name: string; type: string; label: string; help?: string; group?: string; required?: boolean; default?: unknown;
  min?: number; max?: number; decimal?: boolean; max_len?: number; lines?: boolean; choices?: string[]; says?: { value: string; label: string }[]; named?: boolean; kinds?: string[]; fields?: Form;
};
export type Form = Field[];

export type Method = { kind: string; title: string; lives: string; counts: string; unlock: string; beside: boolean; lockout: boolean; form: Form };
export type Step = { kind: string; title: string; category: string; doc: string; form: Form; outcomes: string[]; roles: string[]; in: string[]; face: string[]; words: string[] };
export type ProviderKind = { kind: string; title: string; per: 'tenant' | 'application'; several: boolean; form: Form; test: Form };
export type Catalog = {
  methods: Method[]; steps: Step[]; providers: ProviderKind[]; client: Form; permissions: string[];
  roles: { id: Role; title: string; may: string }[]; journey_kinds: { id: string; title: string; doc: string }[]; event_types: string[]; events: { type: string; title: string }[]; reasons: { reason: string; title: string }[]; languages: string[];
};

export type Overview = {
  sign_ins: { method: string; succeeded: number; failed: number }[];
  approvals: { approved: number; denied: number; expired: number; cancelled: number };
  lockouts: number; journeys: { completed: number; rejected: number };
  series: { at: string; succeeded: number; failed: number }[];
  health: { name: string; ok: boolean; detail: string }[];
  next_steps: { id: string; title: string; text: string; href: string; done: boolean }[];
  snippet: { issuer: string; client_id: string; journey: string; redirect_uri: string };
};

export type App = { id: string; name: string; audience: 'b2c' | 'b2b'; clients: number; created_at: string };
export type ClientKind = 'web' | 'native' | 'backend';
export type Client = { id: string; name: string; kind: ClientKind; has_secret: boolean; settings: Record<string, unknown>; secret?: string };
export type Organisation = { id: string; name: string; domains: string[]; members: number; created_at: string };
export type Member = { user_id: string; name: string; role: 'member' | 'admin' };
export type Candidate = { user_id: string; name: string; role: '' | 'member' | 'admin' };

export type Lint = { field?: string; text: string; reference?: string };
export type MethodSettings = {
  kind: string; title: string; enabled: boolean; settings: Record<string, unknown>; own: Record<string, unknown>;
  from: Record<string, 'default' | 'tenant' | 'application'>; lint: Lint[]; etag: string;
};
export type Checked = { errors: { location: string; message: string }[]; lint: Lint[] };
export type SimStep = { at_seconds: number; failures: number; locked_until_seconds: number | null; permanent: boolean; refused: boolean; tier: number | null };

export type Provider = { kind: string; name: string; app: string; config: Record<string, unknown>; etag: string; updated_at: string };
export type Tested = { ok: boolean; answer: string; ms: number };
export type Logo = { url: string; width: number; height: number } | null;
export type Branding = {
  signal: string; signal_dark: string; logo: Logo; logo_dark: Logo; texts: Record<string, { welcome?: string; foot?: string }>;
  privacy: string; terms: string; support: string;
};
export type Message = { name: string; subject: string; text: string; html: string; sms: string };

export type Identifier = { kind: string; value: string; verified: boolean; primary: boolean };
export type User = { id: string; name: string; identifiers: Identifier[]; status: 'active' | 'suspended'; created_at: string; custom?: Record<string, unknown> };
export type AuthenticatorStatus = 'active' | 'locked' | 'permanently_locked' | 'deactivated' | 'disabled';
export type Authenticator = {
  id: string; kind: string; title: string; label: string; status: AuthenticatorStatus; until: string | null; failures: number;
  app: string; device_id: string; created_at: string; used_at: string | null;
};
export type SupportAction = { id: string; title: string; text: string; form: Form; danger: boolean };
export type Shown = { shown: { label: string; value: string; secret: boolean; qr?: string }[]; text: string };
export type Device = { id: string; name: string; platform: string; os_version: string; app: string; status: 'active' | 'blocked'; push: string[]; last_seen_at: string | null };
export type UserSession = { id: string; app: string; client: string; methods: string[]; acr: string; created_at: string; expires_at: string; address: string; user_agent: string };

export type AuditItem = {
  id: string; at: string; type: string; outcome: string; reason: string; actor: string; actor_name: string; target: string; target_name: string;
  app: string; client: string; run: string; device: string; address: string; user_agent: string; browser: string; data: Record<string, unknown>;
};
export type Verified = { intact: boolean; checked: number; waiting: number; problem: string; seq: number };
export type Webhook = {
  id: string; url: string; events: string[]; enabled: boolean; created_at: string; secret?: string;
  last: { at: string; status: number; ok: boolean; answer: string } | null;
};
export type DeliveryState = 'told' | 'waiting' | 'given_up';
export type Delivery = { id: string; at: string; event: string; type: string; state: DeliveryState; status: number; ok: boolean; attempt: number; ms: number; answer: string; next_at: string | null };
export type Key = { id: string; alg: string; state: 'next' | 'active' | 'retiring'; activates_at: string | null; retires_at: string | null };
export type Settings = { tenant_name: string; languages: string[]; default_language: string; run_retention_days: number; audit_retention_days: number };
export type Journey = {
  id: string; name: string; kind: string; version: number; state: 'published' | 'draft' | 'disabled'; dirty: boolean; updated_at: string; updated_by: string;
  problems: number; used_by: { app: string; client: string; as: string }[];
};
