// With which client a journey is tried, and its code shown: what this browser was
// used with for this journey, else a client that the journey is for, else what the
// browser was used with last, else the first application there is.

import type { Item } from '../api.ts';

export type With = { app: string; client: string };
/** An application to begin with, and the clients that come first: the one that was used, or those that the journey is for. */
export type Begin = { app: string; clients: string[] };

/** What was used, by journey; the last comes last. */
export type Tried = Record<string, With>;

/** The clients of an application that run a journey, or one that runs it as a part of its own. */
export function usersOf(journey: string, items: Pick<Item, 'id' | 'used_by'>[], seen = new Set<string>()): Begin | undefined {
  seen.add(journey);
  const users = items.find((i) => i.id === journey)?.used_by ?? [];
  const direct = users.find((u) => u.app !== '');
  if (direct) return { app: direct.app, clients: users.filter((u) => u.app === direct.app).map((u) => u.client) };
  for (const u of users) {
    const by = seen.has(u.as) ? undefined : usersOf(u.as, items, seen);
    if (by) return by;
  }
  return undefined;
}

/** What to begin with; apps are the ids of those that there are. */
export function beginWith(journey: string, items: Pick<Item, 'id' | 'used_by'>[], tried: Tried, apps: string[]): Begin {
  const was = (w?: With) => w && { app: w.app, clients: [w.client] };
  const all = [was(tried[journey]), usersOf(journey, items), was(Object.values(tried).at(-1))];
  return all.find((w) => w !== undefined && apps.includes(w.app)) ?? { app: apps[0] ?? '', clients: [] };
}

const most = 50;

/** What was used, with one more. */
export function andNow(tried: Tried, journey: string, now: With): Tried {
  const { [journey]: _, ...others } = tried;
  return Object.fromEntries([...Object.entries(others).slice(1 - most), [journey, now]]);
}

/** What somebody kept, if it is that at all. */
export function readTried(text: string | null): Tried {
  try {
    const all: unknown = JSON.parse(text ?? '{}');
    return Object.fromEntries(Object.entries(all as Tried).filter(([, w]) => typeof w?.app === 'string' && typeof w.client === 'string'));
  } catch { return {}; }
}
