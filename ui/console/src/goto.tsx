// Ctrl K: any place, application, journey or user, by the beginning of its name.

import { useId, useState } from 'react';
import { seg } from './api/client.ts';
import { useSettled, useThing, type List } from './api/query.ts';
import type { App, Journey, User } from './api/types.ts';
import { useMine } from './session.ts';
import { go } from './ui/route.ts';
import { t } from './words/words.ts';

export type Place = { path: string; name: string };
type Hit = Place & { kind: string };

export function GoTo({ places, done }: { places: Place[]; done: () => void }) {
  const [q, setQ] = useState('');
  const [at, setAt] = useState(0);
  const list = useId();
  const hits = useHits(places, q.trim());
  const now = Math.min(at, hits.length - 1);
  const to = (path: string) => { done(); go(path); };
  const key = (e: React.KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (by && hits.length > 0) { e.preventDefault(); setAt((now + by + hits.length) % hits.length); }
  };
  return (
    <form className="goto" onSubmit={(e) => { e.preventDefault(); if (hits[now]) to(hits[now].path); }}>
      <input role="combobox" aria-expanded="true" aria-controls={list} aria-activedescendant={hits[now] && `${list}${now}`} aria-label={t('Go to…')} placeholder={t('A place, an application, a journey, a user')} value={q} autoFocus onKeyDown={key} onChange={(e) => { setQ(e.target.value); setAt(0); }} />
      <ul className="hits" id={list} role="listbox" aria-label={t('Go to…')}>
        {hits.map((h, i) => <li key={h.path} id={`${list}${i}`} role="option" aria-selected={i === now} onMouseMove={() => setAt(i)} onClick={() => to(h.path)}><span>{h.name}</span><small>{h.kind}</small></li>)}
      </ul>
      {hits.length === 0 && <p className="help" role="status">{t('Nothing is called that.')}</p>}
    </form>
  );
}

function useHits(places: Place[], q: string): Hit[] {
  const me = useMine();
  const still = useSettled(q);
  const apps = useThing<List<App>>(me.can('GET /apps') ? '/apps' : null);
  const journeys = useThing<List<Journey>>(me.can('GET /journeys') ? '/journeys' : null);
  const users = useThing<List<User>>(me.can('GET /users') && still.length > 1 ? '/users' : null, { q: still, limit: 5 });
  const fits = (...names: string[]) => names.some((n) => n.toLowerCase().split(/[\s_-]+/).some((w) => w.startsWith(q.toLowerCase())) || n.toLowerCase().startsWith(q.toLowerCase()));
  const here: Hit[] = places.filter((p) => fits(p.name)).map((p) => ({ ...p, kind: '' }));
  if (!q) return here;
  return [...here,
    ...(apps.data?.items ?? []).filter((a) => fits(a.name, a.id)).map((a) => ({ path: `/apps/${seg(a.id)}`, name: a.name, kind: t('Application') })),
    ...(journeys.data?.items ?? []).filter((j) => fits(j.name, j.id)).map((j) => ({ path: `/journeys/${seg(j.id)}`, name: j.name || j.id, kind: t('Journey') })),
    ...(still === q ? users.data?.items ?? [] : []).map((u) => ({ path: `/users/${seg(u.id)}`, name: u.name, kind: t('User') })),
  ].slice(0, 12);
}
