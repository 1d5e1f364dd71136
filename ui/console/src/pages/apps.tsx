import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Apps() {
  return <Head title={t('Apps')} />;
}
