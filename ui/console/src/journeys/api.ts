// What the server says of journeys.

import type { Graph, Problem, Outcomes } from './model/types.ts';

export type Item = { id: string; name: string; kind: string; version: number; state: 'published' | 'draft' | 'disabled'; dirty: boolean; updated_at: string; updated_by: string; problems: number; used_by: { app: string; client: string; as: string }[] };
export type Template = { id: string; name: string; kind: string; purpose: string; sees: string[]; graph: Graph };
export type Version = { version: number; at: string; by: string; note: string; state: 'live' | 'old'; graph?: Graph };
export type Journey = { id: string; name: string; kind: string; state: string; draft: { graph: Graph; updated_at: string; updated_by: string }; published: Version | null; dirty: boolean; problems: Problem[]; outcomes: Outcomes };
export type Checked = { problems: Problem[]; outcomes: Outcomes };
export type Event = { seq: number; at: string; node: string; kind: string; what: string; outcome?: string; in?: Record<string, unknown>; out?: Record<string, unknown>; problem?: string; journey?: string };
export type Run = { id: string; journey: string; version: number; app: string; client: string; outcome: string; reason: string; node: string; user: string; user_name: string; steps: number; started_at: string; ended_at: string | null; ms: number; trace?: Event[]; graph?: Graph };
export type Sample = { platform: string; title: string; language: string; text: string };
export type Stats = { runs: number; completed: number; rejected: number; abandoned: number; capped: boolean; nodes: Record<string, { entered: number; left: Record<string, number> | null }> };
