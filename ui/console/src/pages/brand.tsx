// How the pages look on which people sign in, beside the page itself.

import { useState } from 'react';
import { address, call, Problem, seg } from '../api/client.ts';
import { useSend, useThing } from '../api/query.ts';
import type { Branding } from '../api/types.ts';
import { Button, Card, Failure, Loading, Select, TextField, useVoice, wordsOf } from '../ui/parts.tsx';
import { languages, t } from '../words/words.ts';

export function Brand({ app, may }: { app: string; may: boolean }) {
  const path = `/apps/${seg(app)}/branding`;
  const { data, etag, error, pending, refetch } = useThing<Branding>(path);
  const [own, setOwn] = useState<Partial<Branding>>({});
  const [page, setPage] = useState('sign_in');
  const [lang, setLang] = useState('en');
  const [shown, setShown] = useState(0);
  const send = useSend<Branding>(path);
  const { toast } = useVoice();
  if (pending) return <Loading />;
  if (error || !data) return <Failure error={error} />;
  const doc = { ...data, ...own };
  const problems = send.error instanceof Problem ? send.error.at() : {};
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, etag, body: { ...doc, logo: undefined, logo_dark: undefined } }); setOwn({}); setShown(shown + 1); toast(t('Saved.')); } catch { /* shown below */ } };
  const logo = async (file: File) => { try { await call('PUT', `${path}/logo`, file, { etag }); await refetch(); setShown(shown + 1); } catch (e) { toast(wordsOf(e), true); } };
  return (
    <div className="grid">
      <Card title={t('Look')}>
        <form className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
          <TextField label={t('Colour on light')} value={doc.signal} onChange={(signal) => setOwn({ ...own, signal })} placeholder="#3a4fd0" problem={problems.signal} help={t('Refused if text on it cannot be read.')} />
          <TextField label={t('Colour on dark')} value={doc.signal_dark} onChange={(signal_dark) => setOwn({ ...own, signal_dark })} placeholder="#93a3ff" problem={problems.signal_dark} />
          <div className="fieldrow"><label htmlFor="logo">{t('Logo')}</label><input id="logo" type="file" accept="image/png,image/jpeg,image/gif" disabled={!may} onChange={(e) => { const f = e.target.files?.[0]; if (f) void logo(f); }} /><p className="help">{t('PNG or JPEG, up to 256 kB. It is drawn anew, so nothing hidden in it is served.')}</p></div>
          {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
          {may && <div className="acts end"><Button type="submit" look="primary" disabled={Object.keys(own).length === 0}>{t('Save')}</Button></div>}
        </form>
      </Card>
      <Card title={t('The page as people see it')}>
        <div className="filters"><Select label={t('Page')} value={page} onChange={setPage} options={[['sign_in', t('Sign in')], ['waiting', t('Waiting')], ['error', t('Error')]]} /><Select label={t('Language')} value={lang} onChange={setLang} options={Object.entries(languages)} /></div>
        <iframe key={`${shown}${page}${lang}`} className="preview" title={t('The page as people see it')} src={address(`${path}/preview`, { page, lang })} />
      </Card>
    </div>
  );
}
