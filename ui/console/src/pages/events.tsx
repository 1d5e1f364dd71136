// What happened, newest first.

import { Fragment, useState, type ReactNode } from 'react';
import { seg } from '../api/client.ts';
import { useTold, useWhy } from '../api/events.ts';
import { useList } from '../api/query.ts';
import type { AuditItem } from '../api/types.ts';
import type { Query } from '../api/client.ts';
import { Drawer, Empty, Failure, Link, Loading, State } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { useMine } from '../session.ts';
import { t, time } from '../words/words.ts';

const factNames: Record<string, string> = {
  outcome: 'Outcome', reason: 'Why', actor: 'By', target: 'To', app: 'Application', client: 'Client', run: 'Run', device: 'Device', address: 'Address', user_agent: 'Browser', id: 'Id',
};

/** What happened in words, and the name by which it is filtered and hooked. */
export function What({ type }: { type: string }) {
  const words = useTold()(type);
  const name = <code>{type.split('.').map((part, i) => <Fragment key={i}>{i > 0 && <>.<wbr /></>}{part}</Fragment>)}</code>;
  return words === type ? name : <span className="what"><span>{words}</span> {name}</span>;
}

/** Why it came so, in words; the code for it as a title. */
export function Why({ reason }: { reason: string }) {
  const words = useWhy()(reason);
  return <span title={words === reason ? undefined : reason}>{words}</span>;
}

/** A setting that was changed, with what it was and is, as JSON; of a secret the name alone. */
type Change = { setting: string; was?: string; is?: string };

/** One entry, whole. */
function Entry({ e }: { e: AuditItem }) {
  const mine = useMine();
  const why = useWhy();
  const { version, ...rest } = e.data ?? {};
  // A snapshot of a draft has no number of its own, and no run of it is kept.
  const tried = typeof version === 'number' && version < 0;
  const { settings, ...others } = tried ? rest : e.data ?? {};
  const changes = Array.isArray(settings) && settings.every((s) => typeof s === 'object') ? settings as Change[] : null;
  const data = changes ? others : { ...others, ...(settings !== undefined && { settings }) };
  // Administrators are users of a tenant of their own, which has no page here.
  const who = (id: string, name: string, known: boolean): ReactNode => (id.startsWith('usr_') && known && mine.can('GET /users/{id}') && name ? <><Link to={`/users/${seg(id)}`}>{name}</Link> <code>{id}</code></> : <>{name && name !== id ? `${name} ` : ''}<code>{id}</code></>);
  const shown = (k: string, v: string): ReactNode => (k === 'actor' ? who(v, e.actor_name, !e.type.startsWith('admin.')) : k === 'target' ? who(v, e.target_name, !/^admin\.(administrator|session\.(started|confirmed|ended|moved)|passkey)/.test(e.type)) : k === 'run' && !tried && mine.can('GET /runs/{run}') ? <Link to={`/runs/${seg(v)}`}><code>{v}</code></Link> : k === 'reason' && why(v) !== v ? <>{why(v)} <code>{v}</code></> : k === 'outcome' ? <State is={v === 'failure' ? 'no' : 'yes'}>{v === 'failure' ? t('Failure') : t('Success')}</State> : v);
  const facts = Object.keys(factNames).map((k) => [k, String((e as unknown as Record<string, unknown>)[k] ?? '')] as const).filter(([, v]) => v !== '');
  return (
    <>
      <dl className="facts"><dt>{t('Event')}</dt><dd><code>{e.type}</code></dd><dt>{t('When')}</dt><dd>{time(e.at, 'medium')}</dd>{facts.map(([k, v]) => [<dt key={k}>{t(factNames[k]!)}</dt>, <dd key={`${k}v`}>{shown(k, v)}</dd>])}
        {tried && <><dt>{t('Version')}</dt><dd>{t('The draft, as it was tried')}</dd></>}</dl>
      {changes && changes.length > 0 && <ul className="changes">{changes.map((c) => <li key={c.setting}><code>{c.setting}</code>{c.is !== undefined && <> <del>{c.was}</del> → <ins>{c.is}</ins></>}</li>)}</ul>}
      {Object.keys(data).length > 0 && <pre tabIndex={0}>{JSON.stringify(data, null, 2)}</pre>}
    </>
  );
}

/** The entries of a list. In one that is about one person it is said from where, and who did it only if it was somebody else. */
export function Events({ path, query, about }: { path: string; query?: Query; about?: string }) {
  const list = useList<AuditItem>(path, query);
  const [open, setOpen] = useState<AuditItem | null>(null);
  const told = useTold();
  if (list.pending) return <Loading what={t('Reading the audit record…')} />;
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      {list.items.length === 0 && !list.error ? Object.values(query ?? {}).some(Boolean) && !list.more ? <Empty title={t('No entry fits')}>{t('Take back a part of the filter, or look at another time.')}</Empty> : <Empty title={t('Nothing happened yet')}>{t('Sign-ins, changes and refusals appear here, newest first.')}</Empty> : (
        <Table<AuditItem> name={t('Events')} rows={list.items} id={(e) => e.id} open={setOpen} more={list.more} next={list.next} fetching={list.fetching} columns={[
          { head: t('When'), cell: (e) => <button type="button" className="btn quiet" onClick={() => setOpen(e)}>{time(e.at, 'medium')}</button> },
          { head: t('What'), wide: true, cell: (e) => <span className={`of ${e.outcome}`}><What type={e.type} /></span> },
          { head: t('Outcome'), hide: true, cell: (e) => <State is={e.outcome === 'failure' ? 'no' : 'yes'}>{e.reason ? <Why reason={e.reason} /> : e.outcome === 'failure' ? t('Failure') : t('Success')}</State> },
          { head: t('By'), wide: true, hide: true, cell: (e) => (e.actor === about ? '' : e.actor_name || e.actor) },
          ...(about ? [{ head: t('Where from'), wide: true, cell: (e: AuditItem) => <>{e.address} {e.browser && <small className="help">{e.browser}</small>}</> }] : [
            { head: t('To'), wide: true, hide: true, cell: (e: AuditItem) => e.target_name || e.target },
            { head: t('Address'), hide: true, cell: (e: AuditItem) => e.address },
          ]),
        ]} />
      )}
      <Drawer title={open ? told(open.type) : ''} open={open !== null} onClose={() => setOpen(null)}>
        {open && <Entry e={open} />}
      </Drawer>
    </>
  );
}
