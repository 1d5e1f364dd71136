// A draft that saves itself: every change is kept 50 deep, checked and stored a
// moment later over the state that was read. Whoever changed it meanwhile is not
// overwritten: `conflict` says so. What can be taken back outlives publishing, and
// a look at another tab.

import { useCallback, useEffect, useRef, useState } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import { call, Problem as Refused, seg, type Answer } from '../api/client.ts';
import { same, useUnsaved } from '../ui/route.ts';
import type { Checked, Journey } from './api.ts';
import * as history from './model/history.ts';
import type { Graph, Outcomes, Problem } from './model/types.ts';

export type Saving = 'saved' | 'waiting' | 'saving' | 'failed';

/** What can be taken back of the journeys that were drawn last. */
const kept = new Map<string, history.History<Graph>>();
const journeysKept = 5;

function keep(id: string, h: history.History<Graph>) {
  kept.delete(id);
  kept.set(id, h);
  for (const old of [...kept.keys()].slice(0, -journeysKept)) kept.delete(old);
}

export function useDraft(journey: Journey, etag: string, editable: boolean) {
  const [h, setH] = useState(() => history.resume(kept.get(journey.id), journey.draft.graph, same));
  const [problems, setProblems] = useState<Problem[]>(journey.problems);
  const [outcomes, setOutcomes] = useState<Outcomes>(journey.outcomes);
  const [saving, setSaving] = useState<Saving>('saved');
  const [conflict, setConflict] = useState(false);
  const [failures, setFailures] = useState(0);
  const queries = useQueryClient();
  const tag = useRef(etag);
  const stored = useRef(journey.draft.graph);
  const busy = useRef<Promise<void> | null>(null);
  const latest = useRef(h.now);
  latest.current = h.now;
  useEffect(() => { if (editable) keep(journey.id, h); }, [journey.id, h, editable]);

  // What other tabs of the journey show is what was drawn, with its tag.
  const remember = useCallback((etag: string, graph: Graph, checked?: Checked) => queries.setQueryData<Answer<Journey>>([`/journeys/${seg(journey.id)}`, {}], (read) => read && {
    etag, value: { ...read.value, ...checked, name: graph.name, dirty: !same(graph, read.value.published?.graph), draft: { ...read.value.draft, graph } },
  }), [queries, journey.id]);
  useEffect(() => { if (same(journey.draft.graph, stored.current)) tag.current = etag; }, [etag]); // eslint-disable-line

  const save = useCallback(async () => {
    while (busy.current) await busy.current;
    if (conflict || !editable) return;
    if (latest.current === stored.current) { setSaving('saved'); return; }
    const graph = latest.current;
    setSaving('saving');
    busy.current = (async () => {
      try {
        const { value, etag: next } = await call<Checked>('PUT', `/journeys/${seg(journey.id)}/draft`, { graph }, { etag: tag.current });
        tag.current = next;
        stored.current = graph;
        remember(next, graph, value);
        setFailures(0);
        setProblems(value.problems);
        setOutcomes(value.outcomes);
        setSaving(latest.current === graph ? 'saved' : 'waiting');
      } catch (e) {
        if (e instanceof Refused && e.status === 412) setConflict(true);
        // What the server has refused it would refuse again.
        const passing = e instanceof Refused && (e.status === 0 || e.status === 429 || e.status >= 500);
        setFailures((n) => (passing ? n + 1 : 0));
        setSaving('failed');
      }
    })();
    await busy.current;
    busy.current = null;
  }, [journey.id, conflict, editable, remember]);

  useEffect(() => {
    if (!editable) return;
    // What is on its way to the server is not what is drawn now, even if that is stored already.
    if (h.now === stored.current && !busy.current) { setSaving('saved'); return; }
    setSaving('waiting');
    const timer = setTimeout(() => void save(), 700);
    return () => clearTimeout(timer);
  }, [h.now, save, editable]);

  useEffect(() => {
    if (failures === 0) return;
    const retry = () => void save();
    const timer = setTimeout(retry, 5000);
    addEventListener('focus', retry);
    addEventListener('online', retry);
    return () => { clearTimeout(timer); removeEventListener('focus', retry); removeEventListener('online', retry); };
  }, [failures, save]);

  // Whoever goes elsewhere in the console takes what is not stored yet along; only what could not be stored is lost.
  useUnsaved(editable && saving === 'failed', editable && saving !== 'saved');

  // Whoever goes to another tab of the journey takes along what was drawn, and it is stored meanwhile.
  const leave = useRef(() => {});
  leave.current = () => {
    if (!editable || conflict || latest.current === stored.current) return;
    remember(tag.current, latest.current);
    void save().then(() => { if (latest.current !== stored.current) void queries.invalidateQueries({ queryKey: [`/journeys/${seg(journey.id)}`] }); });
  };
  useEffect(() => () => leave.current(), []);

  /** Stores what is drawn and returns its tag; undefined if it could not be stored, so that nobody publishes an older state. */
  const settle = useCallback(async () => {
    await save();
    return latest.current === stored.current ? tag.current : undefined;
  }, [save]);

  /** What is drawn was published: what is drawn from now on is stored over that. */
  const published = useCallback((next: string) => { tag.current = next; }, []);

  /**
   * Mends a problem as the server offers it for what is drawn now: the one that
   * came with the last save would undo what was drawn since. False: there is no
   * such problem any more, or the server cannot be asked.
   */
  const fix = useCallback(async (p: Problem): Promise<boolean> => {
    const asked = latest.current;
    let offered: Problem | undefined = p;
    if (asked !== stored.current) {
      try {
        const { value } = await call<Checked>('POST', '/journeys/check', { graph: asked });
        offered = value.problems.find((q) => q.node === p.node && q.path === p.path && q.text === p.text);
      } catch { return false; }
    }
    const mended = offered?.fix?.graph;
    if (!editable || !mended || latest.current !== asked) return false;
    setH((was) => (was.now === asked ? history.record(was, { ...mended, id: asked.id }) : was));
    return true;
  }, [editable]);

  const change = useCallback((fn: (g: Graph) => Graph, about = '') => { if (editable) setH((was) => history.record(was, fn(was.now), about)); }, [editable]);
  /** What follows is another step back, even if it is about the same thing. */
  const pause = useCallback(() => setH(history.pause), []);
  return {
    graph: h.now, problems, outcomes, saving, conflict, change, fix, pause, save, settle, published,
    undo: () => setH(history.undo), redo: () => setH(history.redo), mayUndo: h.past.length > 0, mayRedo: h.future.length > 0,
  };
}
