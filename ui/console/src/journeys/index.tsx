// Journeys: the list, and one of them with its tabs.

import './journeys.css';
import { useState } from 'react';
import { call, seg } from '../api/client.ts';
import { useSend, useThing } from '../api/query.ts';
import { Failure, Head, Link, Loading, Menu, State, useVoice, wordsOf, type MenuItem } from '../ui/parts.tsx';
import { go } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { t } from '../words/words.ts';
import type { Journey } from './api.ts';
import { Editor, type View } from './editor.tsx';
import { List } from './list.tsx';
import { Code, Runs, TryOut, Versions } from './tabs.tsx';

export default function Journeys({ path }: { path: string }) {
  if (!path) return <List />;
  const [id = '', tab = 'draw', item = ''] = path.split('/').map(decodeURIComponent);
  return <One key={id} id={id} tab={tab} item={item} />;
}

/** `item` is what is open of a tab's list. */
function One({ id, tab, item }: { id: string; tab: string; item: string }) {
  const { data, etag, error, pending, refetch } = useThing<Journey>(`/journeys/${seg(id)}`, undefined, { stale: Infinity });
  const [generation, setGeneration] = useState(0);
  const [view, setView] = useState<View>(() => (innerWidth < 800 ? 'outline' : 'canvas'));
  if (pending) return <Loading what={t('Opening the journey…')} />;
  if (error || !data) return <><Head title={id} back={['/journeys', t('Journeys')]} /><Failure error={error} again={() => void refetch()} /></>;
  // The editor stays over what it publishes itself, and begins anew with what somebody else stored.
  const reload = () => { void refetch().then(() => setGeneration((n) => n + 1)); };
  const tabs: [string, string][] = [['draw', t('Draw')], ['try', t('Try')], ['runs', t('Runs')], ['versions', t('Versions')], ['code', t('Code')]];
  return (
    <>
      <Head title={data.name || data.id} back={['/journeys', t('Journeys')]}>
        <code>{data.id}</code>{data.state === 'disabled' && <State is="off">{t('Disabled')}</State>}<State is={data.published ? 'yes' : 'wait'}>{data.published ? t('Version {version}', { version: data.published.version }) : t('Draft')}{data.published && data.dirty && ` · ${t('changed')}`}</State>
        <More journey={data} reload={reload} />
      </Head>
      <nav className="tabs journey" aria-label={t('Journey')}>{tabs.map(([to, name]) => <Link key={to} to={to === 'draw' ? `/journeys/${id}` : `/journeys/${id}/${to}`} className="tab" aria-current={to === tab ? 'page' : undefined}>{name}</Link>)}</nav>
      {tab === 'draw' && <Editor key={generation} journey={data} etag={etag} reload={reload} view={view} setView={setView} />}
      {tab === 'try' && <TryOut journey={data} />}
      {tab === 'runs' && <Runs journey={data} chosen={item} />}
      {tab === 'versions' && <Versions journey={data} etag={etag} reload={reload} />}
      {tab === 'code' && <Code journey={data} />}
    </>
  );
}

/** What ends a journey, or what was drawn of it since the last version. */
function More({ journey, reload }: { journey: Journey; reload: () => void }) {
  const path = `/journeys/${seg(journey.id)}`;
  const send = useSend('/journeys');
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const name = journey.name || journey.id;
  /** Asks, and does it to what is there now: the editor may have stored something since. */
  const act = async (method: 'POST' | 'DELETE', path: string, [title, text, yes]: [string, string, string], said: string, then: () => void) => {
    if (!await confirm({ title, text, yes, danger: true })) return;
    try {
      const { etag } = await call<Journey>('GET', `/journeys/${seg(journey.id)}`);
      await send.mutateAsync({ method, path, etag });
      toast(said);
      then();
    } catch (e) { toast(wordsOf(e), true); }
  };
  const items: MenuItem[] = [
    ...(journey.published && journey.dirty && mine.can('DELETE /journeys/{id}/draft') ? [{ text: t('Drop what is not published'), danger: true, run: () => void act('DELETE', `${path}/draft`, [t('Drop what is not published?'), t('The draft is the newest version again. Ctrl Z in the editor brings back what you drew.'), t('Drop')], t('The draft is the newest version again.'), reload) }] : []),
    ...(journey.published && journey.state !== 'disabled' && mine.can('POST /journeys/{id}/disable') ? [{ text: t('Disable'), danger: true, run: () => void act('POST', `${path}/disable`, [t('Disable {name}?', { name }), t('Nobody can start it any more; runs under way go on. Publishing a version enables it again.'), t('Disable')], t('Disabled.'), reload) }] : []),
    ...(!journey.published && mine.can('DELETE /journeys/{id}') ? [{ text: t('Delete'), danger: true, run: () => void act('DELETE', path, [t('Delete {name}?', { name }), t('It was never published, so nothing of it is left.'), t('Delete')], t('Deleted.'), () => go('/journeys')) }] : []),
  ];
  return items.length > 0 && <Menu label="⋯" name={t('More about this journey')} items={items} />;
}
