// Reading and writing for pages: a read is known by its path, a write names the
// paths that it makes stale.

import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { QueryCache, QueryClient, useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call, isAway, Problem, type Answer, type Query } from './client.ts';

let away = false;
const watchers = new Set<() => void>();
function heard(nothing: boolean) {
  if (nothing === away) return;
  away = nothing;
  watchers.forEach((w) => w());
  if (!away) void client.invalidateQueries(); // what could not be read meanwhile
}
const watch = (w: () => void) => { watchers.add(w); return () => watchers.delete(w); };

/** Whether the last read got no answer. What was read before is shown meanwhile. */
export const useAway = () => useSyncExternalStore(watch, () => away);

export const client = new QueryClient({
  queryCache: new QueryCache({ onError: (e) => { if (isAway(e)) heard(true); }, onSuccess: () => heard(false) }),
  defaultOptions: {
    queries: {
      staleTime: 1000, // whoever comes to a place sees what is there now; parts of one page ask once
      retry: (n, e) => n < 2 && e instanceof Problem && (e.status === 0 || e.status === 503),
      refetchOnWindowFocus: true,
      networkMode: 'always', // who has no network is told so, not kept waiting
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});

export type List<T> = { items: T[]; next_cursor?: string };

/** Reads one thing. `path` null waits. What was read is not taken away because it cannot be read again just now. */
export function useThing<T>(path: string | null, query?: Query, options: { every?: number; stale?: number } = {}) {
  const q = useQuery({
    queryKey: [path, query ?? {}],
    queryFn: ({ signal }) => call<T>('GET', path!, undefined, { signal, query }),
    enabled: path !== null,
    refetchInterval: options.every,
    ...(options.stale !== undefined && { staleTime: options.stale }),
  });
  return { data: q.data?.value, etag: q.data?.etag ?? '', error: q.data && isAway(q.error) ? null : q.error, pending: q.isPending && path !== null, fetching: q.isFetching, refetch: q.refetch };
}

/**
 * Reads one thing that a form changes. While `editing`, what was read stands still,
 * and its tag with it: what somebody else stores meanwhile is not overwritten.
 * `compare` reads it again and returns what was and what is; `renew` also puts what is
 * in its place.
 */
export function useDoc<T>(path: string | null, editing: boolean, query?: Query) {
  const now = useThing<T>(path, query);
  const held = useRef(now);
  if (!editing || !held.current.data) held.current = now;
  const { refetch } = now;
  const read = async (put: boolean): Promise<{ was: T; is: T } | null> => {
    const { data, isSuccess } = await refetch();
    const was = held.current.data;
    if (!isSuccess || !data || !was) return null;
    if (put) held.current = { ...held.current, data: data.value, etag: data.etag };
    return { was, is: data.value };
  };
  return { ...held.current, renew: () => read(true), compare: () => read(false) };
}

/** A thing that a form changes, as useDoc reads it anew. */
export type Held<T> = Pick<ReturnType<typeof useDoc<T>>, 'renew' | 'compare'>;

/** Reads a list, page after page. */
export function useList<T>(path: string | null, query?: Query, options: { every?: number } = {}) {
  const q = useInfiniteQuery({
    queryKey: [path, query ?? {}, 'list'],
    queryFn: ({ signal, pageParam }) => call<List<T>>('GET', path!, undefined, { signal, query: { ...query, cursor: pageParam } }),
    initialPageParam: '',
    getNextPageParam: (last) => last.value.next_cursor || undefined,
    enabled: path !== null,
    refetchInterval: options.every,
    placeholderData: (before) => before,
  });
  return {
    items: q.data?.pages.flatMap((p) => p.value.items) ?? [],
    pending: q.isPending && path !== null, error: q.error, more: q.hasNextPage, fetching: q.isFetching,
    next: () => { if (q.hasNextPage && !q.isFetchingNextPage) void q.fetchNextPage(); }, refetch: q.refetch,
    /** Reads it anew; null: it cannot be read. */
    again: async () => { const { data, isSuccess } = await q.refetch(); return isSuccess && data ? data.pages.flatMap((p) => p.value.items) : null; },
  };
}

/** A text that has stood still for a moment: what is asked for while somebody types. */
export function useSettled(text: string) {
  const [still, setStill] = useState(text);
  useEffect(() => { const timer = setTimeout(() => setStill(text), 200); return () => clearTimeout(timer); }, [text]);
  return still;
}

export type Send = { method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'; path: string; body?: unknown; etag?: string; query?: Query };

const under = (paths: string[]) => ({ queryKey: [p] }: { queryKey: readonly unknown[] }) => typeof p === 'string' && paths.some((s) => p === s || p.startsWith(`${s}/`));

/** Makes everything stale that was read under one of these paths. */
export function useStale() {
  const qc = useQueryClient();
  return (...paths: string[]) => qc.invalidateQueries({ predicate: under(paths) });
}

/** Writes; afterwards the paths in `stale` are read again, but for what was deleted. */
export function useSend<T = unknown>(...stale: string[]) {
  const qc = useQueryClient();
  return useMutation<Answer<T>, Error, Send>({
    mutationFn: (s) => call<T>(s.method, s.path, s.body, { etag: s.etag, query: s.query }),
    onSuccess: async (_, { method, path }) => {
      const gone = under(method === 'DELETE' ? [path] : []);
      void qc.invalidateQueries({ predicate: gone, refetchType: 'none' });
      await qc.invalidateQueries({ predicate: (q) => under(stale)(q) && !gone(q) });
    },
  });
}
