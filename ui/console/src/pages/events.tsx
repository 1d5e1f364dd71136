// What happened, newest first.

import { useState } from 'react';
import { useList } from '../api/query.ts';
import type { AuditItem } from '../api/types.ts';
import type { Query } from '../api/client.ts';
import { Button, Drawer, Empty, Failure, Loading, State } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { t, time } from '../words/words.ts';


export function Events({ path, query }: { path: string; query?: Query }) {
  const list = useList<AuditItem>(path, query);
  const [open, setOpen] = useState<AuditItem | null>(null);
  if (list.pending) return <Loading what={t('Reading the record…')} />;
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      {list.items.length === 0 && !list.error ? <Empty title={t('Nothing happened yet')}>{t('Everything that matters is recorded here, in the transaction of what it records.')}</Empty> : (
        <Table<AuditItem> name={t('Events')} rows={list.items} id={(e) => e.id} open={setOpen} more={list.more} next={list.next} fetching={list.fetching} columns={[
          { head: t('When'), cell: (e) => <button type="button" className="btn quiet" onClick={() => setOpen(e)}>{time(e.at, 'medium')}</button> },
          { head: t('What'), cell: (e) => <code>{e.type}</code> },
          { head: t('Outcome'), cell: (e) => <State is={e.outcome === 'failure' ? 'no' : 'yes'}>{e.reason || e.outcome}</State> },
          { head: t('By'), wide: true, hide: true, cell: (e) => e.actor_name || e.actor },
          { head: t('To'), wide: true, hide: true, cell: (e) => e.target_name || e.target },
          { head: t('From'), hide: true, cell: (e) => e.address },
        ]} />
      )}
      <Drawer title={open?.type ?? ''} open={open !== null} onClose={() => setOpen(null)}>
        {open && (
          <>
            <dl className="facts">
              {Object.entries(open).filter(([k, v]) => k !== 'data' && v !== '').map(([k, v]) => [<dt key={k}>{k.replace(/_/g, ' ')}</dt>, <dd key={`${k}v`}>{k === 'at' ? time(String(v), 'medium') : String(v)}</dd>])}
            </dl>
            {Object.keys(open.data ?? {}).length > 0 && <pre>{JSON.stringify(open.data, null, 2)}</pre>}
            <div className="acts"><Button onClick={() => setOpen(null)}>{t('Close')}</Button></div>
          </>
        )}
      </Drawer>
    </>
  );
}
