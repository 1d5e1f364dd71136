import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Audit() {
  return <Head title={t('Audit')} />;
}
