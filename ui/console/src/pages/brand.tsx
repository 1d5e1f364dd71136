// How the pages look on which people sign in, beside the page itself as it would
// be: what is typed is shown before it is stored.

import { useId, useState } from 'react';
import { address, seg } from '../api/client.ts';
import { useDoc, useSend, useSettled } from '../api/query.ts';
import type { Branding, Logo } from '../api/types.ts';
import { Button, Card, Failure, Field, Form, FormError, Loading, ReadOnly, Select, TextArea, TextField, unchanged, useVoice, wordsOf } from '../ui/parts.tsx';
import { Control } from '../ui/form.tsx';
import { theirs, type Theirs } from '../ui/theirs.ts';
import { rebased, same, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { languages, t } from '../words/words.ts';

type Texts = Branding['texts'];
type Doc = Pick<Branding, 'signal' | 'signal_dark' | 'texts' | 'privacy' | 'terms' | 'support'>;

const longest = 300; // characters of a text, as the server has it

const part = (b: Branding): Doc => ({ signal: b.signal, signal_dark: b.signal_dark, texts: b.texts, privacy: b.privacy, terms: b.terms, support: b.support });

/** The texts without what is empty: a language without any is not there. */
function trimmed(texts: Texts): Texts {
  const out: Texts = {};
  for (const [l, w] of Object.entries(texts)) if (w.welcome || w.foot) out[l] = { ...(w.welcome && { welcome: w.welcome }), ...(w.foot && { foot: w.foot }) };
  return out;
}

/** A document in an address: base64url of its JSON. */
function packed(doc: unknown): string {
  let bytes = '';
  for (const b of new TextEncoder().encode(JSON.stringify(doc))) bytes += String.fromCharCode(b);
  return btoa(bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

/** What of a branding is another: colours, texts by language, links, logos. */
function changed(was: Branding, is: Branding): Theirs[] {
  const texts = Object.entries(languages).flatMap(([l, name]) => theirs([{ name: 'welcome', type: 'text', label: `${t('Welcome')} (${name})` }, { name: 'foot', type: 'text', label: `${t('Footer')} (${name})` }], was.texts[l] ?? {}, is.texts[l] ?? {}));
  return [
    ...theirs([{ name: 'signal', type: 'colour', label: t('Colour on light') }, { name: 'signal_dark', type: 'colour', label: t('Colour on dark') }], was, is),
    ...(['logo', 'logo_dark'] as const).filter((k) => !same(was[k], is[k])).map((k) => ({ label: k === 'logo' ? t('Logo') : t('Logo on dark'), value: is[k] ? t('changed') : t('Removed.') })),
    ...texts,
    ...theirs([{ name: 'privacy', type: 'text', label: t('Privacy') }, { name: 'terms', type: 'text', label: t('Terms') }, { name: 'support', type: 'text', label: t('Help') }], was, is),
  ];
}

export function Brand({ app }: { app: string }) {
  const path = `/apps/${seg(app)}/branding`;
  const [own, setOwn] = useState<Partial<Doc>>({});
  const [lang, setLang] = useState('en');
  const { data, etag, error, pending, refetch, renew, compare } = useDoc<Branding>(path, Object.keys(own).length > 0);
  const send = useSend<Branding>(path);
  const { toast } = useVoice();
  const may = useMine().can('PUT /apps/{app}/branding');
  const doc: Doc | undefined = data && { ...part(data), ...own };
  const body = doc && { ...doc, texts: trimmed(doc.texts) };
  const dirty = data !== undefined && !same(body, { ...part(data), texts: trimmed(data.texts) });
  const release = useUnsaved(dirty);
  const draft = useSettled(body ? packed({ ...body, texts: Object.fromEntries(Object.entries(body.texts).filter(([l]) => l === lang || l === 'en')) }) : '');
  if (pending) return <Loading />;
  if (error || !data || !doc) return <Failure error={error} again={() => void refetch()} />;
  const set = (some: Partial<Doc>) => setOwn({ ...own, ...some });
  const say = (what: 'welcome' | 'foot') => (text: string) => set({ texts: { ...doc.texts, [lang]: { ...doc.texts[lang], [what]: text } } });
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, etag, body }); release(); setOwn({}); toast(t('Saved.')); } catch { /* shown below */ } };
  const spoken = Object.keys(trimmed(doc.texts));
  return (
    <div className="grid brand-grid">
      <Form error={send.error} className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {!may && <ReadOnly />}
        <Card title={t('Look')}>
          <Colour label={t('Colour on light')} value={doc.signal} ours="#3a4fd0" set={(signal) => set({ signal })} at="signal" help={t('Of links and buttons. Refused if text on it cannot be read.')} disabled={!may} />
          <Colour label={t('Colour on dark')} value={doc.signal_dark} ours="#93a3ff" set={(signal_dark) => set({ signal_dark })} at="signal_dark" disabled={!may} />
          <Picture label={t('Logo')} logo={data.logo} path={path} etag={etag} stale={path} disabled={!may || dirty} help={dirty && may ? t('Save or take back what you changed first.') : t('PNG or JPEG, up to 256 kB. It is drawn anew, so nothing hidden in it is served.')} />
          <Picture dark label={t('Logo on dark')} logo={data.logo_dark} path={path} etag={etag} stale={path} disabled={!may || dirty} help={t('Where there is none, the other one stands on dark, too.')} />
        </Card>
        <Card title={t('Texts')} acts={<Select label={t('Language')} value={lang} onChange={setLang} options={Object.entries(languages).map(([l, name]) => [l, spoken.includes(l) ? `${name} ✓` : name])} />}>
          <TextArea at={`texts.${lang}.welcome`} label={t('Welcome')} lang={lang} value={doc.texts[lang]?.welcome ?? ''} onChange={say('welcome')} maxLength={longest} disabled={!may} help={t('Under the title of the page where people sign in.')} />
          <TextArea at={`texts.${lang}.foot`} label={t('Footer')} lang={lang} value={doc.texts[lang]?.foot ?? ''} onChange={say('foot')} maxLength={longest} disabled={!may} help={lang === 'en' ? t('At the end of every page. A language without a text of its own shows the English one.') : t('At the end of every page. Left empty, both say what English says.')} />
        </Card>
        <Card title={t('Links in the footer')}>
          <TextField label={t('Privacy')} type="url" value={doc.privacy} onChange={(privacy) => set({ privacy })} disabled={!may} placeholder="https://" at="privacy" />
          <TextField label={t('Terms')} type="url" value={doc.terms} onChange={(terms) => set({ terms })} disabled={!may} placeholder="https://" at="terms" />
          <TextField label={t('Help')} type="url" value={doc.support} onChange={(support) => set({ support })} disabled={!may} placeholder="https://" at="support" />
        </Card>
        <FormError compare={async () => { const r = await compare(); return r ? changed(r.was, r.is) : []; }} reload={() => renew().then((r) => { if (r) { setOwn({}); send.reset(); } })}
          keep={() => renew().then((r) => { if (r) { setOwn(rebased<Partial<Doc>>(part(r.was), { ...part(r.was), ...own }, part(r.is))); send.reset(); } })} />
        {may && <div className="acts end foot-acts"><Button disabled={!dirty} onClick={() => { setOwn({}); send.reset(); }}>{t('Take back')}</Button><Button type="submit" look="primary" disabled={send.isPending} why={unchanged(dirty)}>{t('Save')}</Button></div>}
      </Form>
      <Preview path={path} lang={lang} setLang={setLang} draft={dirty ? draft : ''} state={etag} />
    </div>
  );
}

function Colour({ label, value, ours, set, at, help, disabled }: { label: string; value: string; ours: string; set: (v: string) => void; at: string; help?: string; disabled: boolean }) {
  return <Field label={label} help={help} at={at}>{(ids) => <Control f={{ name: '', type: 'colour', label, default: undefined }} value={value || undefined} placeholder={ours} set={(v) => set(String(v ?? ''))} path="" ids={ids} problems={{}} disabled={disabled} />}</Field>;
}

function Picture({ label, logo, dark, path, etag, stale, help, disabled }: { label: string; logo: Logo; dark?: boolean; path: string; etag: string; stale: string; help: string; disabled: boolean }) {
  const id = useId();
  const send = useSend<Branding>(stale);
  const { toast } = useVoice();
  const put = async (file?: File) => {
    try { await send.mutateAsync({ method: file ? 'PUT' : 'DELETE', path: `${path}/logo`, query: { dark: dark || undefined }, etag, body: file }); toast(file ? t('The logo is stored.') : t('Removed.')); } catch (e) { toast(wordsOf(e), true); }
  };
  return (
    <div className="fieldrow">
      <div className="fieldlabel"><label htmlFor={id}>{label}</label>{logo && !disabled && <Button look="quiet" onClick={() => void put()} aria-label={`${t('Remove')}: ${label}`}>{t('Remove')}</Button>}</div>
      {logo && <span className={`logobox ${dark ? 'on-dark' : 'on-light'}`}><img src={logo.url} alt={label} width={logo.width} height={logo.height} /></span>}
      <input id={id} type="file" accept="image/png,image/jpeg,image/gif" disabled={disabled || send.isPending} aria-describedby={`${id}h`} onChange={(e) => { const f = e.target.files?.[0]; e.target.value = ''; if (f) void put(f); }} />
      <p className="help" id={`${id}h`}>{help}</p>
    </div>
  );
}

/** The real page with what is typed. Its frame says whether the paper is light or dark. */
function Preview({ path, lang, setLang, draft, state }: { path: string; lang: string; setLang: (l: string) => void; draft: string; state: string }) {
  const [page, setPage] = useState('sign_in');
  const [paper, setPaper] = useState('light');
  const src = address(`${path}/preview`, { page, lang, draft });
  return (
    <Card className="preview-card" title={t('The page as people see it')}>
      <div className="filters">
        <Select label={t('Page')} value={page} onChange={setPage} options={[['sign_in', t('Sign in')], ['waiting', t('Waiting')], ['error', t('Error')]]} />
        <Select label={t('Language')} value={lang} onChange={setLang} options={Object.entries(languages)} />
        <Select label={t('Paper')} value={paper} onChange={setPaper} options={[['light', t('Light')], ['dark', t('Dark')]]} />
      </div>
      {/* A new frame for each page: one that is led elsewhere leaves steps in the history. */}
      <iframe key={`${state} ${paper} ${src}`} className={`preview ${paper}`} title={t('The page as people see it')} src={src} />
    </Card>
  );
}
