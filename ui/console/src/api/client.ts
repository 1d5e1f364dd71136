// The one way to the server. Errors are problems (RFC 9457); what needs a fresh
// proof, or a session where that is over, asks for it and is sent once more.

import { said } from '../words/words.ts';

export type ProblemPart = { location: string; message: string };

export class Problem extends Error {
  status: number;
  code: string;
  errors: ProblemPart[];

  constructor(status: number, code: string, message: string, errors: ProblemPart[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }

  /** What is wrong with each member of what was sent, by its path, in the reader's language: "settings.tiers.0.minutes". */
  at(): Record<string, string> {
    const out: Record<string, string> = {};
    for (const e of this.errors) out[e.location.replace(/^body\.?/, '').replace(/\[(\d+)\]/g, '.$1').replace(/\.$/, '')] ??= said(e.message);
    return out;
  }
}

export type Answer<T> = { value: T; etag: string };
export type Options = { etag?: string; signal?: AbortSignal; query?: Query };
export type Query = Record<string, string | number | boolean | undefined | null>;

type Hooks = { stepUp: () => Promise<boolean>; signIn: () => Promise<boolean> };
let hooks: Hooks = { stepUp: async () => false, signIn: async () => false };

/** The shell says how to ask for a fresh proof, and for who is there when the session is over. */
export const install = (h: Hooks) => { hooks = h; };

export const root = '/admin/v1';

export function address(path: string, query?: Query) {
  const search = new URLSearchParams();
  for (const [k, v] of Object.entries(query ?? {})) if (v !== undefined && v !== null && v !== '') search.set(k, String(v));
  const text = search.toString();
  return root + path + (text && `?${text}`);
}

/** Whether nobody answered, or somebody on the way who is not the server. */
export const isAway = (e: unknown) => e instanceof Problem && [0, 502, 503, 504].includes(e.status);

/** A segment of a path. */
export const seg = encodeURIComponent;

async function once<T>(method: string, path: string, body: unknown, o: Options): Promise<Answer<T>> {
  const raw = body instanceof Blob;
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = raw ? body.type : 'application/json';
  if (o.etag) headers['If-Match'] = o.etag;
  let r: Response;
  try {
    r = await fetch(address(path, o.query), { method, headers, body: body === undefined ? undefined : raw ? body : JSON.stringify(body), signal: o.signal, credentials: 'same-origin' });
  } catch (e) {
    if (o.signal?.aborted) throw e;
    throw new Problem(0, 'offline', '');
  }
  const text = await r.text();
  const json = /json/.test(r.headers.get('Content-Type') ?? '') && text !== '' ? JSON.parse(text) : undefined;
  if (r.ok) return { value: (json ?? text) as T, etag: r.headers.get('ETag') ?? '' };
  throw new Problem(r.status, json?.code ?? 'internal', json?.detail ?? json?.title ?? '', json?.errors ?? []);
}

export async function call<T>(method: string, path: string, body?: unknown, o: Options = {}): Promise<Answer<T>> {
  try {
    return await once<T>(method, path, body, o);
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
    if (e.code === 'step_up_required' && await hooks.stepUp()) return once<T>(method, path, body, o);
    if (e.code === 'signed_out' && await hooks.signIn()) return once<T>(method, path, body, o);
    throw e;
  }
}
