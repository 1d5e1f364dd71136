// Journeys: the list, and one of them with its tabs.

import './journeys.css';
import { seg } from '../api/client.ts';
import { useThing } from '../api/query.ts';
import { Failure, Head, Link, Loading, State } from '../ui/parts.tsx';
import { t } from '../words/words.ts';
import type { Journey } from './api.ts';
import { Editor } from './editor.tsx';
import { List } from './list.tsx';
import { Code, Runs, TryOut, Versions } from './tabs.tsx';

export default function Journeys({ path }: { path: string }) {
  if (!path) return <List />;
  const [id = '', tab = 'draw'] = path.split('/').map(decodeURIComponent);
  return <One key={id} id={id} tab={tab} />;
}

function One({ id, tab }: { id: string; tab: string }) {
  const { data, etag, error, pending, refetch } = useThing<Journey>(`/journeys/${seg(id)}`, undefined, { stale: Infinity });
  if (pending) return <Loading what={t('Opening the journey…')} />;
  if (error || !data) return <><Head title={id} back={['/journeys', t('Journeys')]} /><Failure error={error} again={() => void refetch()} /></>;
  const reload = () => { void refetch(); };
  const tabs: [string, string][] = [['draw', t('Draw')], ['try', t('Try')], ['runs', t('Runs')], ['versions', t('Versions')], ['code', t('Code')]];
  return (
    <>
      <Head title={data.name || data.id} back={['/journeys', t('Journeys')]}>
        <code>{data.id}</code><State is={data.published ? 'yes' : 'wait'}>{data.published ? t('Version {n}', { n: data.published.version }) : t('Draft')}</State>
      </Head>
      <nav className="tabs" aria-label={t('Journey')}>{tabs.map(([to, name]) => <Link key={to} to={to === 'draw' ? `/journeys/${id}` : `/journeys/${id}/${to}`} className="tab" aria-current={to === tab ? 'page' : undefined}>{name}</Link>)}</nav>
      {tab === 'draw' && <Editor key={etag} journey={data} etag={etag} reload={reload} />}
      {tab === 'try' && <TryOut journey={data} />}
      {tab === 'runs' && <Runs journey={data} />}
      {tab === 'versions' && <Versions journey={data} etag={etag} reload={reload} />}
      {tab === 'code' && <Code journey={data} />}
    </>
  );
}
