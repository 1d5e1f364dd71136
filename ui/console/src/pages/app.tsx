import { Head } from '../ui/parts.tsx';

export default function App({ id }: { id: string; tab: string }) {
  return <Head title={id} />;
}
