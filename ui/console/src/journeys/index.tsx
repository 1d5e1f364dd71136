import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Journeys(_: { path: string }) {
  return <Head title={t('Journeys')} />;
}
