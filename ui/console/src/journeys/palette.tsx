import { useState } from 'react';
import { find } from './model/search.ts';
import type { Step } from './model/types.ts';
import { t } from '../words/words.ts';
import { Icon, rank } from './icons.tsx';

/** Every kind of step that may stand here, found by what people call it. */
export function Palette({ steps, kind, add, focus }: { steps: Step[]; kind: string; add: (kind: string) => void; focus?: boolean }) {
  const [q, setQ] = useState('');
  const hits = find(steps.filter((s) => !s.in || s.in.length === 0 || s.in.includes(kind)).map((s) => ({ ...s, words: s.words ?? [] })), q);
  const groups = [...new Set(hits.map((s) => s.category))];
  if (!q) groups.sort((a, b) => rank(a) - rank(b));
  return (
    <section className="palette" aria-label={t('Steps')}>
      <input type="search" aria-label={t('Find a step')} placeholder={t('Find a step')} value={q} autoFocus={focus} onChange={(e) => setQ(e.target.value)} onKeyDown={(e) => { if (e.key === 'Enter' && hits[0]) { e.preventDefault(); add(hits[0].kind); } }} />
      {hits.length === 0 && <p className="help">{t('No step is called that.')}</p>}
      {groups.map((g) => (
        <div key={g}>
          <h3><Icon category={g} /> {g}</h3>
          <ul>{hits.filter((s) => s.category === g).map((s) => (
            <li key={s.kind}><button type="button" className="pal" draggable title={s.doc} onDragStart={(e) => e.dataTransfer.setData('application/x-step', s.kind)} onClick={() => add(s.kind)}>{s.title}<small>{s.doc}</small></button></li>
          ))}</ul>
        </div>
      ))}
    </section>
  );
}
