// What the server knows that a field may name.

import { useMemo } from 'react';
import { useThing, type List } from '../api/query.ts';
import type { Field, Journey } from '../api/types.ts';
import type { Choices } from './form.tsx';

/** A choice in words; its value stands beside them where people know it by that. */
export function choiceOf(f: Pick<Field, 'says' | 'named'>, value: string): string {
  const label = f.says?.find((s) => s.value === value)?.label;
  return label === undefined ? value : f.named ? `${label} (${value})` : label;
}

/** The journeys that a field may name, of the kinds that it takes; none for who may not read them. */
export function useJourneys(may = true): Choices {
  const { data } = useThing<List<Journey>>(may ? '/journeys' : null);
  return useMemo(() => ({ journey: (f) => (data?.items ?? []).filter((j) => !f.kinds || f.kinds.includes(j.kind)).map((j): [string, string] => [j.id, j.name || j.id]) }), [data]);
}
