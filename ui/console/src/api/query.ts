// Reading and writing for pages: a read is known by its path, a write names the
// paths that it makes stale.

import { QueryClient, useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call, Problem, type Answer, type Query } from './client.ts';

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (n, e) => n < 2 && e instanceof Problem && (e.status === 0 || e.status === 503),
      refetchOnWindowFocus: true,
    },
    mutations: { retry: false },
  },
});

export type List<T> = { items: T[]; next_cursor?: string };

/** Reads one thing. `path` null waits. */
export function useThing<T>(path: string | null, query?: Query, options: { every?: number; stale?: number } = {}) {
  const q = useQuery({
    queryKey: [path, query ?? {}],
    queryFn: ({ signal }) => call<T>('GET', path!, undefined, { signal, query }),
    enabled: path !== null,
    refetchInterval: options.every,
    staleTime: options.stale,
  });
  return { data: q.data?.value, etag: q.data?.etag ?? '', error: q.error, pending: q.isPending && path !== null, fetching: q.isFetching, refetch: q.refetch };
}

/** Reads a list, page after page. */
export function useList<T>(path: string | null, query?: Query) {
  const q = useInfiniteQuery({
    queryKey: [path, query ?? {}, 'list'],
    queryFn: ({ signal, pageParam }) => call<List<T>>('GET', path!, undefined, { signal, query: { ...query, cursor: pageParam } }),
    initialPageParam: '',
    getNextPageParam: (last) => last.value.next_cursor || undefined,
    enabled: path !== null,
    placeholderData: (before) => before,
  });
  return {
    items: q.data?.pages.flatMap((p) => p.value.items) ?? [],
    pending: q.isPending && path !== null, error: q.error, more: q.hasNextPage, fetching: q.isFetching,
    next: () => { if (q.hasNextPage && !q.isFetchingNextPage) void q.fetchNextPage(); }, refetch: q.refetch,
  };
}

export type Send = { method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'; path: string; body?: unknown; etag?: string; query?: Query };

/** Makes everything stale that was read under one of these paths. */
export function useStale() {
  const qc = useQueryClient();
  return (...paths: string[]) => qc.invalidateQueries({ predicate: ({ queryKey: [p] }) => typeof p === 'string' && paths.some((s) => p === s || p.startsWith(`${s}/`)) });
}

/** Writes; afterwards the paths in `stale` are read again. */
export function useSend<T = unknown>(...stale: string[]) {
  const refresh = useStale();
  return useMutation<Answer<T>, Error, Send>({
    mutationFn: (s) => call<T>(s.method, s.path, s.body, { etag: s.etag, query: s.query }),
    onSuccess: async () => { await refresh(...stale); },
  });
}
