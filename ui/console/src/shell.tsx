// Who is signed in, what they may do, where they are.

import { lazy, Suspense, useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { call, install } from './api/client.ts';
import { client, useThing } from './api/query.ts';
import type { Session } from './api/types.ts';
import { Failure, Link, Loading, Menu, Modal, useMiddle } from './ui/parts.tsx';
import { StepUp } from './stepup.tsx';
import { SignIn } from './pages/signin.tsx';
import { go, match, usePath } from './ui/route.ts';
import { languages, speak, t, useLanguage, type Language } from './words/words.ts';
import { Mine, SessionContext } from './session.ts';

const Home = lazy(() => import('./pages/home.tsx'));
const Apps = lazy(() => import('./pages/apps.tsx'));
const AppPage = lazy(() => import('./pages/app.tsx'));
const MethodsPage = lazy(() => import('./pages/methods.tsx'));
const Users = lazy(() => import('./pages/users.tsx'));
const UserPage = lazy(() => import('./pages/user.tsx'));
const Journeys = lazy(() => import('./journeys/index.tsx'));
const Audit = lazy(() => import('./pages/audit.tsx'));
const Operate = lazy(() => import('./pages/operate.tsx'));

type Place = { path: string; name: string; roles: string[] };
const all = ['security_admin', 'application_admin', 'helpdesk', 'auditor'];
const places = (): Place[] => [
  { path: '/', name: t('Home'), roles: all },
  { path: '/apps', name: t('Applications'), roles: all },
  { path: '/methods', name: t('Methods'), roles: ['security_admin', 'application_admin', 'auditor'] },
  { path: '/journeys', name: t('Journeys'), roles: ['security_admin', 'application_admin', 'auditor'] },
  { path: '/users', name: t('Users'), roles: ['security_admin', 'helpdesk', 'auditor'] },
  { path: '/audit', name: t('Audit'), roles: ['security_admin', 'auditor'] },
  { path: '/operate', name: t('Operate'), roles: ['security_admin', 'auditor'] },
];

function page(path: string): ReactNode {
  const routes: [string, (m: Record<string, string>) => ReactNode][] = [
    ['/', () => <Home />], ['/apps', () => <Apps />], ['/apps/:app', (m) => <AppPage id={m.app!} tab="clients" />], ['/apps/:app/:tab', (m) => <AppPage id={m.app!} tab={m.tab!} />],
    ['/methods', () => <MethodsPage />], ['/journeys', () => <Journeys path="" />], ['/journeys/*', () => <Journeys path={path.slice('/journeys/'.length)} />],
    ['/users', () => <Users />], ['/users/:id', (m) => <UserPage id={m.id!} tab="authenticators" />], ['/users/:id/:tab', (m) => <UserPage id={m.id!} tab={m.tab!} />],
    ['/audit', () => <Audit />], ['/operate', () => <Operate tab="administrators" />], ['/operate/:tab', (m) => <Operate tab={m.tab!} />],
  ];
  for (const [pattern, draw] of routes) {
    const m = match(pattern, path);
    if (m) return draw(m);
  }
  return <div className="empty"><h1>{t('There is nothing here')}</h1><p><Link to="/">{t('Home')}</Link></p></div>;
}

export function Shell() {
  useLanguage();
  const { data, error, pending, refetch } = useThing<Session>('/session');
  const [asking, setAsking] = useState<((ok: boolean) => void) | null>(null);
  const stepUp = useCallback(() => new Promise<boolean>((answer) => setAsking(() => answer)), []);
  useEffect(() => install({ stepUp, signedOut: () => { void client.invalidateQueries({ queryKey: ['/session'] }); } }), [stepUp]);
  if (pending) return <Loading what={t('Opening the console…')} />;
  if (error || !data) return <main className="alone"><Failure error={error} again={() => void refetch()} /></main>;
  if (!data.administrator || data.needs_passkey) return <SignIn session={data} done={() => { client.clear(); void refetch(); }} />;
  const done = (ok: boolean) => { asking?.(ok); setAsking(null); };
  return (
    <SessionContext.Provider value={new Mine(data)}>
      <Frame session={data} />
      <Modal title={t('Confirm that it is you')} open={asking !== null} onClose={() => done(false)}><StepUp done={done} /></Modal>
    </SessionContext.Provider>
  );
}

function Frame({ session }: { session: Session }) {
  const path = usePath();
  const main = useRef<HTMLElement>(null);
  const me = new Mine(session);
  const [search, setSearch] = useState(false);
  const nav = useRef<HTMLElement>(null);
  useEffect(() => { main.current?.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true }); }, [path]);
  useMiddle(nav, '[aria-current]', path);
  useEffect(() => {
    const key = (e: KeyboardEvent) => { if ((e.ctrlKey || e.metaKey) && e.key === 'k') { e.preventDefault(); setSearch(true); } };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  const shown = places().filter((p) => me.role === 'owner' || p.roles.includes(me.role));
  return (
    <div className="frame">
      <a className="skip" href="#main">{t('To the page')}</a>
      <aside className="side">
        <Link to="/" className="brand"><img src="/lib/mark.svg" alt="" width="24" height="24" /><span className="wordmark">watchword</span></Link>
        <nav ref={nav} aria-label={t('Console')}>
          {shown.map((p) => {
            const here = p.path === '/' ? path === '/' : path === p.path || path.startsWith(`${p.path}/`);
            return <Link key={p.path} to={p.path} className="place" aria-current={here ? 'page' : undefined}>{p.name}</Link>;
          })}
        </nav>
        <div className="foot">
          <button type="button" className="btn quiet" onClick={() => setSearch(true)}>{t('Go to…')} <kbd>Ctrl K</kbd></button>
          <Account session={session} />
        </div>
      </aside>
      <main id="main" ref={main} tabIndex={-1}><Suspense fallback={<Loading />}>{page(path)}</Suspense></main>
      <Modal title={t('Go to…')} open={search} onClose={() => setSearch(false)}><GoTo places={shown} done={() => setSearch(false)} /></Modal>
    </div>
  );
}

function Account({ session }: { session: Session }) {
  const language = useLanguage();
  const theme = document.documentElement.dataset.theme ?? '';
  const set = (to: string) => {
    if (to) { document.documentElement.dataset.theme = to; localStorage.setItem('watchword.theme', to); } else { delete document.documentElement.dataset.theme; localStorage.removeItem('watchword.theme'); }
  };
  const out = async () => { await call('DELETE', '/session'); client.clear(); await client.invalidateQueries(); go('/'); location.reload(); };
  return (
    <Menu look="quiet wide" label={session.administrator!.name || session.administrator!.email} items={[
      ...(Object.entries(languages) as [Language, string][]).map(([id, name]) => ({ text: `${id === language ? '● ' : ''}${name}`, run: () => void speak(id, true) })),
      null,
      { text: `${theme === 'light' ? '● ' : ''}${t('Light')}`, run: () => set('light') }, { text: `${theme === 'dark' ? '● ' : ''}${t('Dark')}`, run: () => set('dark') }, { text: `${theme === '' ? '● ' : ''}${t('As the system')}`, run: () => set('') },
      null,
      { text: t('Your passkeys'), run: () => go('/operate/passkeys') },
      { text: t('Sign out'), run: () => void out() },
    ]} />
  );
}

function GoTo({ places, done }: { places: Place[]; done: () => void }) {
  const [q, setQ] = useState('');
  const hits = places.filter((p) => p.name.toLowerCase().includes(q.toLowerCase()));
  const to = (path: string) => { done(); go(path); };
  return (
    <form onSubmit={(e) => { e.preventDefault(); if (hits[0]) to(hits[0].path); }}>
      <input aria-label={t('Go to…')} value={q} autoFocus onChange={(e) => setQ(e.target.value)} />
      <ul className="hits">{hits.map((p) => <li key={p.path}><button type="button" className="btn quiet" onClick={() => to(p.path)}>{p.name}</button></li>)}</ul>
    </form>
  );
}
