// What happens to somebody who keeps failing: the locks that are set, and the
// server's own engine, as charts.

import { useEffect, useState } from 'react';
import { call } from '../api/client.ts';
import type { SimStep } from '../api/types.ts';
import { Button, Card, State } from '../ui/parts.tsx';
import type { Doc } from '../ui/form.tsx';
import { plural, span, t } from '../words/words.ts';

type Attempt = { after_seconds: number; outcome: 'failure' | 'success' };

export function Simulator({ path, settings, whole }: { path: string; settings: Doc; whole: Doc }) {
  const [attempts, setAttempts] = useState<Attempt[]>([]);
  const [steps, setSteps] = useState<SimStep[]>([]);
  const policy = JSON.stringify([whole.window_minutes, whole.tiers, whole.simple, whole.hard_cap]);
  useEffect(() => {
    if (attempts.length === 0) { setSteps([]); return; }
    const timer = setTimeout(() => { void call<{ steps: SimStep[] }>('POST', `${path}/simulate`, { settings, attempts }).then((r) => setSteps(r.value.steps)).catch(() => setSteps([])); }, 100);
    return () => clearTimeout(timer);
  }, [attempts, policy, path]); // eslint-disable-line
  const last = steps.at(-1);
  const now = attempts.reduce((n, a) => n + a.after_seconds, 0);
  /** The next try comes ten seconds later, or as soon as a lock is over. */
  const next = (outcome: Attempt['outcome'], wait = false) => {
    const until = last?.locked_until_seconds ?? 0;
    setAttempts([...attempts, { after_seconds: wait && until > now ? until - now + 1 : 10, outcome }]);
  };
  const locked = last && (last.permanent || (last.locked_until_seconds ?? 0) > now);
  const end = Math.max(60, now * 1.1, ...steps.map((s) => s.locked_until_seconds ?? 0));
  const x = (s: number) => 4 + (92 * s) / end;
  return (
    <Card title={t('What failures lead to')} acts={<Button look="quiet" onClick={() => setAttempts([])} disabled={attempts.length === 0}>{t('Start over')}</Button>}>
      <svg className="sim" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label={plural(steps.length, '{n} attempt over {time}', '{n} attempts over {time}', { time: span(now) })}>
        <line x1="4" x2="96" y1="24" y2="24" className="axis" />
        {steps.filter((s) => !s.refused && (s.locked_until_seconds !== null || s.permanent)).map((s, i) => <rect key={i} className="lock" x={x(s.at_seconds)} width={Math.max(0.6, x(s.permanent ? end : s.locked_until_seconds!) - x(s.at_seconds))} y="10" height="14" />)}
        {steps.map((s, i) => <line key={i} x1={x(s.at_seconds)} x2={x(s.at_seconds)} y1={s.refused ? 18 : 6} y2="24" className={s.refused ? 'tick refused' : attempts[i]?.outcome === 'success' ? 'tick good' : 'tick bad'} />)}
      </svg>
      <Ladder whole={whole} failures={last?.failures ?? 0} />
      <p role="status">{!last ? t('Press “Fail again” and see what your settings do.') : last.permanent ? <State is="no">{t('Locked for good: a person must unlock it.')}</State>
        : locked ? <State is="wait">{plural(last.failures, 'Locked for {time} more, after {n} failure.', 'Locked for {time} more, after {n} failures.', { time: span(last.locked_until_seconds! - now) })}</State> : <State is="yes">{plural(last.failures, 'Open: {n} failure counts.', 'Open: {n} failures count.')}</State>}{last?.refused && ` ${t('This try was not judged.')}`}</p>
      <div className="acts"><Button look="primary" onClick={() => next('failure')}>{t('Fail again')}</Button>{locked && !last?.permanent && <Button onClick={() => next('failure', true)}>{t('Wait it out and fail')}</Button>}<Button onClick={() => next('success')}>{t('Right answer')}</Button></div>
    </Card>
  );
}

type Rung = { failures: number; minutes: number };

/** The locks that the settings have in store, in the order in which failures lead to them; longer ones are higher. */
function Ladder({ whole, failures }: { whole: Doc; failures: number }) {
  const tiers = (Array.isArray(whole.tiers) ? whole.tiers as Partial<Rung>[] : []).filter((r): r is Rung => Number(r.failures) > 0 && Number(r.minutes) > 0);
  const locks = whole.simple === true ? tiers.slice(0, 1) : tiers;
  const cap = Number(whole.hard_cap) || 1;
  const end = whole.simple === true || locks.length === 0 ? cap : Math.min(cap, locks.at(-1)!.failures + 1);
  const rungs: Rung[] = [...locks.filter((r) => r.failures < end), { failures: end, minutes: Infinity }];
  const most = Math.log(Math.max(2, ...locks.map((r) => r.minutes + 1)));
  const now = rungs.findLastIndex((r) => failures >= r.failures);
  return (
    <ol className="ladder" aria-label={t('Locks')}>
      {rungs.map((r, i) => (
        <li key={r.failures} aria-current={i === now ? 'step' : undefined}>
          <svg viewBox="0 0 10 40" preserveAspectRatio="none" aria-hidden="true"><rect className={r.minutes === Infinity ? 'ever' : 'lock'} width="10" y={r.minutes === Infinity ? 0 : 36 - (30 * Math.log(r.minutes + 1)) / most} height="40" /></svg>
          <strong>{r.minutes === Infinity ? t('for good') : span(r.minutes * 60)}</strong>
          <small>{plural(r.failures, 'after {n} failure', 'after {n} failures')}</small>
        </li>
      ))}
    </ol>
  );
}
