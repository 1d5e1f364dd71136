// What a method says to people by mail and text message, with settings that need
// not be stored.

import { useEffect, useState } from 'react';
import { call } from '../api/client.ts';
import type { Message } from '../api/types.ts';
import { Card, Select, wordsOf } from '../ui/parts.tsx';
import type { Doc } from '../ui/form.tsx';
import { languages as known, t, useLanguage, type Language } from '../words/words.ts';

export function Messages({ path, settings, languages }: { path: string; settings: Doc; languages: string[] }) {
  const [language, setLanguage] = useState<string>(useLanguage());
  const [messages, setMessages] = useState<Message[] | null>(null);
  const [name, setName] = useState('');
  const [error, setError] = useState<unknown>(null);
  const asked = JSON.stringify(settings);
  useEffect(() => {
    const timer = setTimeout(() => {
      void call<{ items: Message[] }>('POST', `${path}/messages`, { settings, language }).then((r) => { setMessages(r.value.items); setError(null); }).catch(setError);
    }, 250);
    return () => clearTimeout(timer);
  }, [path, asked, language]); // eslint-disable-line
  if (!error && !messages?.length) return null;
  const shown = messages?.find((m) => m.name === name) ?? messages?.[0];
  return (
    <Card title={t('What people get')}>
      <div className="filters">
        {(messages?.length ?? 0) > 1 && <Select label={t('Message')} value={shown?.name ?? ''} onChange={setName} options={messages!.map((m) => [m.name, m.subject || m.name])} />}
        <Select label={t('Language')} value={language} onChange={setLanguage} options={languages.map((l) => [l, known[l as Language] ?? l])} />
      </div>
      {error ? <p className="help">{wordsOf(error)}</p> : shown && (
        <div className="letter" lang={language}>
          {shown.text && <><p><strong>{shown.subject}</strong></p><p className="pre">{shown.text}</p></>}
          {shown.sms && <p className="pre sms">{shown.sms}</p>}
        </div>
      )}
    </Card>
  );
}
