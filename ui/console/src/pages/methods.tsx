import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';
import { Methods } from './methodlist.tsx';

export default function MethodsPage({ kind = '' }: { kind?: string }) {
  return (
    <>
      <Head title={t('Methods')} lead={t('What is set here holds for every application that does not set it itself.')} />
      <Methods base="/methods" app="" at="/methods" open={kind} />
    </>
  );
}
