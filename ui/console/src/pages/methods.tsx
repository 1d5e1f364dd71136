import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Methods() {
  return <Head title={t('Methods')} />;
}
