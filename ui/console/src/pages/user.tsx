import { Head } from '../ui/parts.tsx';

export default function User({ id }: { id: string; tab: string }) {
  return <Head title={id} />;
}
