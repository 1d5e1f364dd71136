// The world outside of a development server, beside the journey that is tried: a
// phone that answers, and what was mailed and texted instead of being sent.

import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Copy, Select } from '../ui/parts.tsx';
import { clock, t, useLanguage } from '../words/words.ts';

type Caught = { id: string; channel: 'push' | 'mail' | 'sms'; to: string; subject: string; text: string; data?: Record<string, string>; at: string };

async function caught(): Promise<Caught[]> {
  const r = await fetch('/dev/inbox/messages');
  if (!r.ok) throw new Error(String(r.status));
  return ((await r.json()) as { messages: Caught[] }).messages.reverse();
}

export function World() {
  const [shown, setShown] = useState('phone');
  return (
    <section className="beside" aria-label={t('Show beside it')}>
      <Select label={t('Show beside it')} value={shown} onChange={setShown} options={[['phone', t('Phone')], ['inbox', t('Captured mail')]]} />
      {/* The phone goes on while the inbox is read. */}
      <iframe className={`phoneframe ${shown === 'phone' ? '' : 'away'}`} title={t('Phone')} src={`/playground/?lang=${useLanguage()}#only-phone`} />
      {shown === 'inbox' && <Inbox />}
    </section>
  );
}

function Inbox() {
  const { data } = useQuery({ queryKey: ['inbox'], queryFn: caught, refetchInterval: 2000 });
  if (data?.length === 0) return <p className="help">{t('Nothing was sent yet. Mail, text messages and pushes of this server appear here.')}</p>;
  return (
    <ol className="inbox" aria-label={t('Captured mail')}>
      {(data ?? []).slice(0, 20).map((m) => (
        <li key={m.id}>
          <small>{m.channel} · {m.to} · {clock(m.at)}</small>
          <strong>{m.subject}</strong>
          <p className="pre">{m.text}</p>
          {Object.entries(m.data ?? {}).filter(([k]) => k !== 'title' && k !== 'body').map(([k, v]) => <span key={k} className="once">{/^https?:/.test(v) ? <a href={v} target="_blank" rel="noreferrer">{k}</a> : <><small>{k}</small> <code>{v}</code></>}<Copy text={v} /></span>)}
        </li>
      ))}
    </ol>
  );
}
