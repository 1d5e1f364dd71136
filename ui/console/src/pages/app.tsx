// One application: its clients, methods, channels, organisations and look.

import { useState, type ReactNode } from 'react';
import { seg } from '../api/client.ts';
import { useSend, useThing } from '../api/query.ts';
import type { App } from '../api/types.ts';
import { Button, Empty, Failure, Form, FormError, Head, Loading, Modal, Tabs, TextField, useVoice, wordsOf } from '../ui/parts.tsx';
import { go } from '../ui/route.ts';
import { roleName, useMine, type Call } from '../session.ts';
import { t } from '../words/words.ts';
import { Brand } from './brand.tsx';
import { Clients } from './clients.tsx';
import { Methods } from './methodlist.tsx';
import { Organisations } from './organisations.tsx';
import { Providers } from './providers.tsx';

/** `item` is what of the tab is open at its side. */
export default function AppPage({ id, tab, item = '' }: { id: string; tab?: string; item?: string }) {
  const path = `/apps/${seg(id)}`;
  const { data: app, etag, error, pending, refetch } = useThing<App>(path);
  const [renaming, setRenaming] = useState<string | null>(null);
  const send = useSend<App>('/apps');
  const { toast, confirm } = useVoice();
  const mine = useMine();
  if (pending) return <Loading />;
  if (error || !app) return <><Head title={id} back={['/apps', t('Applications')]} /><Failure error={error} again={() => void refetch()} /></>;
  const rename = async () => { try { await send.mutateAsync({ method: 'PATCH', path, etag, body: { name: renaming } }); setRenaming(null); toast(t('Saved.')); } catch { /* shown in the dialog */ } };
  const remove = async () => {
    if (!await confirm({ title: t('Delete {name}?', { name: app.name }), text: t('Its clients stop working at once. Users stay; what they enrolled here is gone.'), yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); go('/apps'); } catch (e) { toast(wordsOf(e), true); }
  };
  const at = (name: string) => `${path}/${name}`;
  const all: [string, string, Call, ReactNode][] = [
    ['clients', t('Clients'), 'GET /apps/{app}/clients', <Clients key="c" app={id} at={at('clients')} open={item} />],
    ['methods', t('Methods'), 'GET /apps/{app}/methods', <Methods key="m" base={`${path}/methods`} app={id} at={at('methods')} open={item} />],
    ['channels', t('Push channels and providers'), 'GET /providers', <Providers key="p" app={id} at={at('channels')} open={item} />],
    ...(app.audience === 'b2b' ? [['organisations', t('Organisations'), 'GET /apps/{app}/organisations', <Organisations key="o" app={id} />] as [string, string, Call, ReactNode]] : []),
    ['branding', t('Branding'), 'GET /apps/{app}/branding', <Brand key="b" app={id} />],
  ];
  const tabs = all.filter(([, , needs]) => mine.can(needs)).map(([name, title, , body]): [string, string, ReactNode] => [name, title, body]);
  const shown = tabs.some(([name]) => name === tab) ? tab! : tabs[0]?.[0] ?? '';
  return (
    <>
      <Head title={app.name} back={['/apps', t('Applications')]}>
        <code>{app.id}</code>
        {mine.can('PATCH /apps/{app}') && <Button onClick={() => { send.reset(); setRenaming(app.name); }}>{t('Rename')}</Button>}
        {mine.can('DELETE /apps/{app}') && <Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>}
      </Head>
      {tabs.length === 0 ? <Empty title={t('There is no more to see for you')}>{t('Your role, {role}, sees what applications are called, and helps the people who use them.', { role: roleName(mine.role) })}</Empty>
        : <Tabs label={app.name} at={shown} onChange={(to) => go(at(to), { replace: true, stay: true })} tabs={tabs} />}
      <Modal title={t('Rename')} open={renaming !== null} onClose={() => setRenaming(null)}>
        <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void rename(); }}>
          <TextField at="name" label={t('Name')} value={renaming ?? ''} onChange={setRenaming} required maxLength={100} />
          <FormError />
          <div className="acts end"><Button onClick={() => setRenaming(null)}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Save')}</Button></div>
        </Form>
      </Modal>
    </>
  );
}
