import '../../lib/watchword.css';
import './console.css';
import { createRoot } from 'react-dom/client';
import { QueryClientProvider } from '@tanstack/react-query';
import { client } from './api/query.ts';
import { Speaker } from './ui/parts.tsx';
import { Shell } from './shell.tsx';
import { preferred, speak } from './words/words.ts';

const theme = localStorage.getItem('watchword.theme');
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;

await speak(preferred());
createRoot(document.getElementById('app')!).render(
  <QueryClientProvider client={client}><Speaker><Shell /></Speaker></QueryClientProvider>,
);
