// A list of rows. Of long ones only those are drawn that can be seen.

import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Button, Loading } from './parts.tsx';
import { t } from '../words/words.ts';

export type Column<T> = { head: string; cell: (row: T) => ReactNode; wide?: boolean; hide?: boolean };

const ROW = 44;
const SPARE = 12;

export function Table<T>({ rows, columns, name, id, open, more, next, fetching }: {
  rows: T[]; columns: Column<T>[]; name: string; id: (row: T) => string; open?: (row: T) => void; more?: boolean; next?: () => void; fetching?: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ from: 0, to: 60 });
  const [wide, setWide] = useState(false); // wider than its place: then it is scrolled, by keys as well
  const virtual = rows.length > 100;
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const look = () => {
      setWide(el.scrollWidth > el.clientWidth);
      const top = -el.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(top / ROW) - SPARE);
      const to = from + Math.ceil(innerHeight / ROW) + 2 * SPARE;
      setView((v) => (v.from === from && v.to === to ? v : { from, to }));
      if (more && next && el.getBoundingClientRect().bottom < innerHeight + 600) next();
    };
    look();
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => { removeEventListener('scroll', look); removeEventListener('resize', look); };
  }, [more, next, rows.length]);
  const from = virtual ? Math.min(view.from, rows.length) : 0;
  const to = virtual ? Math.min(view.to, rows.length) : rows.length;
  return (
    <div ref={box} className="tablebox" {...(wide && { tabIndex: 0, role: 'region', 'aria-label': name })}>
      <table className="table" aria-label={name} aria-rowcount={more ? -1 : rows.length + 1}>
        <thead><tr>{columns.map((c) => <th key={c.head} scope="col" className={c.hide ? 'narrowhide' : ''}>{c.head}</th>)}</tr></thead>
        <tbody>
          {from > 0 && <Gap height={from * ROW} columns={columns.length} />}
          {rows.slice(from, to).map((row, i) => (
            <tr key={id(row)} aria-rowindex={from + i + 2} className={open ? 'opens' : ''} onClick={open ? (e) => { if (!(e.target as HTMLElement).closest('a,button,input,select')) open(row); } : undefined}>
              {columns.map((c) => <td key={c.head} className={`${c.wide ? 'widecell' : ''} ${c.hide ? 'narrowhide' : ''}`}>{c.cell(row)}</td>)}
            </tr>
          ))}
          {to < rows.length && <Gap height={(rows.length - to) * ROW} columns={columns.length} />}
        </tbody>
      </table>
      {fetching && <Loading />}
      {more && next && !fetching && <Button onClick={next}>{t('Show more')}</Button>}
    </div>
  );
}

function Gap({ height, columns }: { height: number; columns: number }) {
  const ref = useRef<HTMLTableCellElement>(null);
  useEffect(() => { ref.current!.style.height = `${height}px`; }, [height]);
  return <tr aria-hidden="true"><td ref={ref} colSpan={columns} className="gap" /></tr>;
}
