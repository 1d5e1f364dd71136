// By the one-time link, by a passkey, and the passkey that a link leads to.

import { useEffect, useState } from 'react';
import { call, Problem } from '../api/client.ts';
import * as passkey from '../api/passkey.ts';
import type { Ceremony, Session } from '../api/types.ts';
import { Button, Failure, TextField, wordsOf } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

/** What the printed link carries. It leaves the address bar at once, before anything is asked. */
function invitation(): string {
  const secret = new URLSearchParams(location.hash.slice(1)).get('invite') ?? '';
  if (location.hash) history.replaceState(null, '', location.pathname);
  return secret;
}
const invited = invitation();

/** Who is there, when the session of somebody who was is over. */
export function SignInAgain({ done }: { done: () => void }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const signIn = async () => {
    setBusy(true);
    setError(null);
    try { await byPasskey(); done(); } catch (e) { if (!passkey.refused(e)) setError(e); } finally { setBusy(false); }
  };
  return (
    <>
      <p>{t('Sign in again to go on where you were. What you typed is still there.')}</p>
      <Failure error={error} />
      <div className="acts end"><Button look="primary" disabled={busy} onClick={() => void signIn()}>{t('Sign in with a passkey')}</Button></div>
    </>
  );
}

async function byPasskey() {
  const { value } = await call<Ceremony>('POST', '/session/passkey/start', {});
  await call('POST', '/session/passkey', { ticket: value.ticket, credential: await passkey.get(value.options) });
}

export function SignIn({ session, done }: { session: Session; done: () => void }) {
  const [secret, setSecret] = useState(invited);
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [label, setLabel] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => { document.title = `${t('Sign in')} · Watchword`; }, []);
  const run = async (fn: () => Promise<void>) => {
    setBusy(true);
    setError('');
    try { await fn(); done(); } catch (e) { setError(passkey.refused(e) ? t('The browser did not use a passkey. Try again.') : e instanceof Problem && e.status === 403 ? t('This link was used or has run out. Ask for a new one, or restart a development server.') : wordsOf(e)); if (e instanceof Problem && e.status === 403) setSecret(''); } finally { setBusy(false); }
  };
  const redeem = () => run(async () => { await call('POST', '/session/invitation', { secret, ...(name && { name }), ...(email && { email }) }); });
  // A development server's link opens the console without a question.
  useEffect(() => { if (secret && session.dev && !session.administrator) void redeem(); }, []); // eslint-disable-line
  const signIn = () => run(byPasskey);
  const enrol = () => run(async () => {
    const { value } = await call<Ceremony>('POST', '/me/passkeys/start', {});
    await call('POST', '/me/passkeys', { ticket: value.ticket, credential: await passkey.create(value.options), label: label || `${t('Passkey')} · ${passkey.here()}` });
    const again = await call<Ceremony>('POST', '/session/step-up/start', {});
    await call('POST', '/session/step-up', { ticket: again.value.ticket, credential: await passkey.get(again.value.options) });
  });
  const problem = error && <div className="note no" role="alert"><p>{error}</p></div>;
  return (
    <main className="alone">
      <div className="brandmark" />
      {session.administrator ? (
        <>
          <h1>{t('Add a passkey')}</h1>
          <p>{t('This link was good once. From now on you sign in with a passkey: add one to go on.')}</p>
          {problem}
          <form className="form" onSubmit={(e) => { e.preventDefault(); void enrol(); }}>
            <TextField label={t('What you call it')} value={label} onChange={setLabel} placeholder={t('Laptop')} />
            <Button type="submit" look="primary" disabled={busy}>{t('Add a passkey')}</Button>
          </form>
        </>
      ) : secret ? (
        <>
          <h1>{t('Welcome')}</h1>
          <p>{t('You open this console by a one-time link.')}</p>
          {problem}
          <form className="form" onSubmit={(e) => { e.preventDefault(); void redeem(); }}>
            <TextField label={t('Your name')} value={name} onChange={setName} autoComplete="name" />
            <TextField label={t('E-mail address')} type="email" value={email} onChange={setEmail} autoComplete="email" />
            <Button type="submit" look="primary" disabled={busy}>{busy ? t('Opening the console…') : t('Open the console')}</Button>
          </form>
        </>
      ) : (
        <>
          <h1>{t('Sign in to the console')}</h1>
          {problem}
          {session.first_run && <p>{t('Nobody administrates this server yet. Open the link that it printed when it started, or make one with: watchword admin invite')}</p>}
          <Button look="primary" disabled={busy} onClick={() => void signIn()}>{t('Sign in with a passkey')}</Button>
          {!session.first_run && <p className="help">{t('No passkey here? An owner can invite you anew; so can whoever runs the server: watchword admin invite')}</p>}
        </>
      )}
    </main>
  );
}
