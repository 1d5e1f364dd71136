import { useState } from 'react';
import { call } from './api/client.ts';
import * as passkey from './api/passkey.ts';
import type { Ceremony } from './api/types.ts';
import { Button, Failure } from './ui/parts.tsx';
import { t } from './words/words.ts';

/** Asks for a passkey once more, before something that cannot be undone. */
export function StepUp({ done }: { done: (ok: boolean) => void }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      const { value } = await call<Ceremony>('POST', '/session/step-up/start', {});
      await call('POST', '/session/step-up', { ticket: value.ticket, credential: await passkey.get(value.options) });
      done(true);
    } catch (e) {
      if (!passkey.refused(e)) setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <p>{t('What you are about to do needs your passkey once more.')}</p>
      <Failure error={error} />
      <div className="acts end"><Button onClick={() => done(false)}>{t('Cancel')}</Button><Button look="primary" disabled={busy} onClick={() => void confirm()}>{t('Confirm with your passkey')}</Button></div>
    </>
  );
}
