import { Head } from '../ui/parts.tsx';
import { t } from '../words/words.ts';

export default function Home() {
  return <Head title={t('Home')} />;
}
