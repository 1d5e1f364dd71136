// Who is signed in, what they may do, where they are.

import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { call, install, type Answer } from './api/client.ts';
import { client, useAway, useThing } from './api/query.ts';
import type { Session } from './api/types.ts';
import { Failure, Head, Link, Loading, Menu, Modal, useMiddle, useVoice, wordsOf } from './ui/parts.tsx';
import { StepUp } from './stepup.tsx';
import { SignIn, SignInAgain } from './pages/signin.tsx';
import { go, href, match, usePath } from './ui/route.ts';
import { languages, speak, t, useLanguage, type Language } from './words/words.ts';
import { Mine, roleName, SessionContext, useMine, type Call } from './session.ts';
import { GoTo, type Place } from './goto.tsx';

const Home = lazy(() => import('./pages/home.tsx'));
const Apps = lazy(() => import('./pages/apps.tsx'));
const AppPage = lazy(() => import('./pages/app.tsx'));
const OrganisationPage = lazy(() => import('./pages/organisation.tsx'));
const MethodsPage = lazy(() => import('./pages/methods.tsx'));
const Users = lazy(() => import('./pages/users.tsx'));
const UserPage = lazy(() => import('./pages/user.tsx'));
const Journeys = lazy(() => import('./journeys/index.tsx'));
const RunPage = lazy(() => import('./journeys/tabs.tsx').then((m) => ({ default: m.RunPage })));
const Audit = lazy(() => import('./pages/audit.tsx'));
const Operate = lazy(() => import('./pages/operate.tsx'));
const WebhookPage = lazy(() => import('./pages/webhook.tsx'));

/** The places of the console, each with a call without which it has nothing to show. */
const places = (): (Place & { needs: Call })[] => [
  { path: '/', name: t('Home'), needs: 'GET /overview' },
  { path: '/apps', name: t('Applications'), needs: 'GET /apps' },
  { path: '/methods', name: t('Methods'), needs: 'GET /methods' },
  { path: '/journeys', name: t('Journeys'), needs: 'GET /journeys' },
  { path: '/users', name: t('Users'), needs: 'GET /users' },
  { path: '/audit', name: t('Audit'), needs: 'GET /audit' },
  { path: '/operate', name: t('Operate'), needs: 'GET /providers' },
];

function page(path: string): ReactNode {
  const routes: [string, (m: Record<string, string>) => ReactNode][] = [
    ['/', () => <Home />], ['/apps', () => <Apps />], ['/apps/:app', (m) => <AppPage id={m.app!} />], ['/apps/:app/organisations/:org', (m) => <OrganisationPage key={m.org} app={m.app!} id={m.org!} />],
    ['/apps/:app/:tab/*', (m) => <AppPage id={m.app!} tab={m.tab} item={m['*']} />],
    ['/methods', () => <MethodsPage />], ['/methods/:kind', (m) => <MethodsPage kind={m.kind} />], ['/journeys', () => <Journeys path="" />], ['/journeys/*', () => <Journeys path={path.slice('/journeys/'.length)} />],
    ['/runs/:id', (m) => <RunPage key={m.id} id={m.id!} />],
    ['/users', () => <Users />], ['/users/:id', (m) => <UserPage id={m.id!} tab="authenticators" />], ['/users/:id/:tab', (m) => <UserPage id={m.id!} tab={m.tab!} />],
    ['/audit', () => <Audit />], ['/operate', () => <Operate />], ['/operate/webhooks/:id', (m) => <WebhookPage key={m.id} id={m.id!} />], ['/operate/:tab/*', (m) => <Operate tab={m.tab} item={m['*']} />],
  ];
  for (const [pattern, draw] of routes) {
    const m = match(pattern, path);
    if (m) return draw(m);
  }
  return <><Head title={t('There is nothing here')} lead={t('The address may be mistyped, or what stood here is gone.')} /><p><Link to="/">{t('Home')}</Link></p></>;
}

/** A question that is asked on the page, and everybody who waits for its answer. */
function useQuestion() {
  const [open, setOpen] = useState(false);
  const waiting = useRef<((ok: boolean) => void)[]>([]);
  const ask = useCallback(() => new Promise<boolean>((answer) => { waiting.current.push(answer); setOpen(true); }), []);
  const answer = useCallback((ok: boolean) => { setOpen(false); waiting.current.splice(0).forEach((w) => w(ok)); }, []);
  return { open, ask, answer };
}

export function Shell() {
  useLanguage();
  const away = useAway();
  const { data, error, pending, refetch } = useThing<Session>('/session', undefined, { every: away ? 3000 : undefined, stale: 0 });
  const stepUp = useQuestion();
  const signIn = useQuestion();
  // Who was here: when their session is over, the page stays under the question who is there, with what they typed.
  const [before, setBefore] = useState<Session | null>(null);
  const inside = data?.administrator && !data.needs_passkey ? data : null;
  useEffect(() => {
    if (!inside) return;
    const same = !before || before.administrator!.id === inside.administrator!.id;
    signIn.answer(same);
    if (same) setBefore(inside); else location.reload(); // what was typed is not theirs
  }, [inside]); // eslint-disable-line
  const here = useRef(false);
  here.current = before !== null;
  useEffect(() => install({ stepUp: stepUp.ask, signIn: async () => {
    await client.invalidateQueries({ queryKey: ['/session'] });
    const now = client.getQueryData<Answer<Session>>(['/session', {}])?.value;
    return (now?.administrator && !now.needs_passkey) || (here.current && signIn.ask());
  } }), [stepUp.ask, signIn.ask]);
  const shown = inside ?? (data?.needs_passkey ? null : before);
  const mine = useMemo(() => (shown ? new Mine(shown) : null), [shown]);
  if (pending) return <Loading what={t('Opening the console…')} />;
  if (error || !data) return <main className="alone"><Failure error={error} again={() => void refetch()} /></main>;
  if (!shown) return <SignIn session={data} done={() => { client.clear(); void refetch(); }} />;
  return (
    <SessionContext.Provider value={mine!}>
      <Frame session={shown} away={away} />
      <Modal title={t('Confirm that it is you')} open={stepUp.open} onClose={() => stepUp.answer(false)}><StepUp done={stepUp.answer} /></Modal>
      <Modal title={t('Your session is over')} open={!inside} bare><SignInAgain done={() => void client.invalidateQueries()} /></Modal>
    </SessionContext.Provider>
  );
}

function Frame({ session, away }: { session: Session; away: boolean }) {
  const path = usePath();
  const me = useMine();
  const [search, setSearch] = useState(false);
  const nav = useRef<HTMLElement>(null);
  useMiddle(nav, '[aria-current]', path);
  useEffect(() => {
    const key = (e: KeyboardEvent) => { if ((e.ctrlKey || e.metaKey) && e.key === 'k') { e.preventDefault(); setSearch(true); } };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  const shown = places().filter((p) => me.can(p.needs));
  return (
    <div className="frame">
      <a className="skip" href="#main">{t('To the page')}</a>
      <aside className="side">
        <Link to="/" className="brand"><span className="brandmark" /><span className="wordmark">watchword</span></Link>
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
      <main id="main" tabIndex={-1}><div role="status">{away && <p className="note wait">{t('The server does not answer just now. What stands here may be old; what you typed is not lost.')}</p>}</div><Suspense fallback={<Loading />}>{page(path)}</Suspense></main>
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
  const { toast } = useVoice();
  // What is shown belongs to the tenant: nothing of the one before stays.
  const manage = async (id: string) => { try { await call('PUT', '/session/tenant', { id }); location.assign(href('/')); } catch (e) { toast(wordsOf(e), true); } };
  const out = async () => { await call('DELETE', '/session'); location.assign(href('/')); };
  return (
    <Menu look="quiet wide" label={<span className="me"><span>{session.administrator!.name || session.administrator!.email}</span><small>{roleName(session.administrator!.role)}</small></span>} items={[
      ...(session.tenants.length > 1 ? [...session.tenants.map((x) => ({ text: `${x.id === session.tenant?.id ? '● ' : ''}${x.name}`, run: () => void manage(x.id) })), null] : []),
      ...(Object.entries(languages) as [Language, string][]).map(([id, name]) => ({ text: `${id === language ? '● ' : ''}${name}`, run: () => void speak(id, true) })),
      null,
      { text: `${theme === 'light' ? '● ' : ''}${t('Light')}`, run: () => set('light') }, { text: `${theme === 'dark' ? '● ' : ''}${t('Dark')}`, run: () => set('dark') }, { text: `${theme === '' ? '● ' : ''}${t('As the system')}`, run: () => set('') },
      null,
      { text: t('Your passkeys'), run: () => go('/operate/passkeys') },
      { text: t('Sign out'), run: () => void out() },
    ]} />
  );
}
