// What happened, in the reader's language.

import { useCallback } from 'react';
import { told, why } from '../words/told.ts';
import { said } from '../words/words.ts';
import { useCatalog } from './catalog.ts';

/** Says types of events by the catalog. */
export function useTold() {
  const { data } = useCatalog();
  return useCallback((type: string) => told(data, type), [data]);
}

/** Says reasons by the catalog; some are sentences. */
export function useWhy() {
  const { data } = useCatalog();
  return useCallback((reason: string) => said(why(data, reason)), [data]);
}
