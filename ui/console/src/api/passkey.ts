// WebAuthn in the words of the server: options as JSON in, a credential as JSON
// out. The browser translates both.

type Static = typeof PublicKeyCredential & {
  parseCreationOptionsFromJSON(o: unknown): PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON(o: unknown): PublicKeyCredentialRequestOptions;
};

const unwrap = (options: unknown) => (options as { publicKey?: unknown }).publicKey ?? options;

export const possible = () => typeof PublicKeyCredential !== 'undefined' && 'parseCreationOptionsFromJSON' in PublicKeyCredential;

export async function create(options: unknown): Promise<unknown> {
  const c = await navigator.credentials.create({ publicKey: (PublicKeyCredential as Static).parseCreationOptionsFromJSON(unwrap(options)) });
  return (c as unknown as { toJSON(): unknown }).toJSON();
}

export async function get(options: unknown, signal?: AbortSignal): Promise<unknown> {
  const c = await navigator.credentials.get({ publicKey: (PublicKeyCredential as Static).parseRequestOptionsFromJSON(unwrap(options)), signal });
  return (c as unknown as { toJSON(): unknown }).toJSON();
}

const names = (all: [RegExp, string][]) => all.find(([sign]) => sign.test(navigator.userAgent))?.[1];

/** Where a passkey that nobody named was made, so that it can be told from others: "Chrome, Linux". */
export const here = () => [
  names([[/Firefox\//, 'Firefox'], [/Edg\//, 'Edge'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']]),
  names([[/Android/, 'Android'], [/iPhone/, 'iPhone'], [/iPad/, 'iPad'], [/Mac OS X/, 'macOS'], [/Windows/, 'Windows'], [/Linux/, 'Linux']]),
].filter(Boolean).join(', ');

/** Browsers make passkeys for a name only: none for 127.0.0.1, none for another site than the server says it is. */
export const misplaced = (e: unknown) => e instanceof DOMException && e.name === 'SecurityError';

/** The browser's own refusal: cancelled, timed out, nothing that fits. */
export const refused = (e: unknown) => e instanceof DOMException && !misplaced(e);
