import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Users() {
  return <Head title={t('Users')} />;
}
