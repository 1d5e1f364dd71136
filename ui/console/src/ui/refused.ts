// What the server refused of a form, place by place. A form provides it, its fields
// look themselves up in it by their place in what was sent.

import { createContext, useContext } from 'react';
import { Problem } from '../api/client.ts';

export type Refusal = { error: unknown; problems: Record<string, string> };
export const Refused = createContext<Refusal>({ error: null, problems: {} });

/** Why an error refuses a form, by places such as settings.tiers.0.minutes. */
export const refusalOf = (error: unknown): Refusal => ({ error, problems: error instanceof Problem ? error.at() : {} });

/** What is wrong at a place, or, of a field that is one control, anywhere inside it. */
export function wrongAt(problems: Record<string, string>, at: string, whole: boolean): string | undefined {
  const inside = whole ? Object.keys(problems).find((path) => path.startsWith(`${at}.`)) : undefined;
  return problems[at] ?? (inside && problems[inside]);
}

export function useRefused(at: string | undefined, whole = true) {
  const { problems } = useContext(Refused);
  return at === undefined ? undefined : wrongAt(problems, at, whole);
}
