// What happened, in the reader's language.

import { useCallback } from 'react';
import { told } from '../words/told.ts';
import { useCatalog } from './catalog.ts';

/** Says types of events by the catalog. */
export function useTold() {
  const { data } = useCatalog();
  return useCallback((type: string) => told(data, type), [data]);
}
