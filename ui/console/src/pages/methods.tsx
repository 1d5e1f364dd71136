import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';
import { Methods } from './methodlist.tsx';

export default function MethodsPage({ kind = '' }: { kind?: string }) {
  return (
    <>
      <Head title={t('Methods')} lead={t('These settings apply to every application that has none of its own.')} />
      <Methods base="/methods" app="" at="/methods" open={kind} />
    </>
  );
}
