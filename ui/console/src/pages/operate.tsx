import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Operate(_: { tab: string }) {
  return <Head title={t('Operate')} />;
}
