// The graph, drawn. Nodes and edges are made anew only where the journey changed.

import { memo, useCallback, useMemo } from 'react';
import { Background, BaseEdge, Controls, EdgeLabelRenderer, getSmoothStepPath, Handle, MiniMap, Position, ReactFlow, type Edge, type EdgeProps, type Node as FlowNode, type NodeProps } from '@xyflow/react';
import '@xyflow/react/dist/style.css';
import type { Graph, Outcomes, Problem, Step } from './model/types.ts';
import { edgeId, edgeOf } from './model/types.ts';
import { lineOf, nameOf, node, outcomesOf, type Line } from './model/graph.ts';
import { t } from '../words/words.ts';

export type Marks = { nodes?: Record<string, string>; edges?: Record<string, string>; numbers?: Record<string, string> };
type Face = { name: string; kind: string; face: string[]; outcomes: [string, Line][]; problems: number; start: boolean; mark: string; end: boolean };

const signs: Record<Line, string> = { success: '✓', failure: '✕', escape: '↩', branch: '' };

const Box = memo(function Box({ data, selected }: NodeProps<FlowNode<Face>>) {
  return (
    <div className={`jnode ${selected ? 'selected' : ''} ${data.mark} ${data.end ? 'end' : ''}`}>
      <Handle type="target" position={Position.Left} className="port in" />
      <div className="jhead">{data.start && <span className="jstart" title={t('Here it starts')}>▶</span>}<strong>{data.name}</strong>{data.problems > 0 && <span className="jbad" title={t('{n} problems', { n: data.problems })}>⚠ {data.problems}</span>}</div>
      <div className="jkind">{data.kind}</div>
      {data.face.map((f) => <div key={f} className="jface">{f}</div>)}
      <div className="jports">
        {data.outcomes.map(([o, line]) => (
          <div key={o} className={`jport ${line}`}><span>{signs[line]} {o}</span><Handle type="source" position={Position.Right} id={o} className="port out" /></div>
        ))}
      </div>
    </div>
  );
});

const Way = memo(function Way({ id, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, selected, data }: EdgeProps<Edge<{ line: Line; mark: string; number: string }>>) {
  const [path, x, y] = getSmoothStepPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, borderRadius: 10 });
  return (
    <>
      <BaseEdge id={id} path={path} className={`way ${data?.line} ${data?.mark ?? ''} ${selected ? 'selected' : ''}`} />
      {data?.number && <EdgeLabelRenderer><div className="waynumber" style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>{data.number}</div></EdgeLabelRenderer>}
    </>
  );
});

const nodeTypes = { step: Box };
const edgeTypes = { way: Way };

function shown(v: unknown): string {
  if (v === undefined || v === null || v === '' || v === false) return '';
  if (typeof v === 'object') return 'expr' in (v as object) ? `= ${String((v as { expr: unknown }).expr)}` : Array.isArray(v) ? v.filter((x) => typeof x === 'string').join(', ') : '';
  return String(v);
}

export type CanvasProps = {
  graph: Graph; outcomes: Outcomes; steps: Map<string, Step>; problems: Problem[]; selected: Set<string>; marks?: Marks; fixed?: boolean;
  select?: (ids: string[]) => void; move?: (at: Record<string, number[]>) => void; connect?: (from: string, outcome: string, to: string) => void; disconnect?: (from: string, outcome: string) => void; open?: (id: string) => void; drop?: (kind: string, at: number[]) => void;
};

export function Canvas({ graph, outcomes, steps, problems, selected, marks, fixed, select, move, connect, disconnect, open, drop }: CanvasProps) {
  const bad = useMemo(() => { const m = new Map<string, number>(); for (const p of problems) if (p.node && !p.warning) m.set(p.node, (m.get(p.node) ?? 0) + 1); return m; }, [problems]);
  const nodes = useMemo(() => Object.entries(graph.nodes).map(([id, n]): FlowNode<Face> => {
    const step = steps.get(n.kind);
    const face = (step?.face ?? []).map((name) => shown(n.config?.[name])).filter(Boolean).slice(0, 2);
    const ways = outcomesOf(graph, id, outcomes, step);
    return { id, type: 'step', position: { x: n.at?.[0] ?? 0, y: n.at?.[1] ?? 0 }, selected: selected.has(id), ariaLabel: nameOf(n, step), data: { name: nameOf(n, step), kind: step?.title ?? n.kind, face, outcomes: ways.map((o) => [o, lineOf(o, step)]), problems: bad.get(id) ?? 0, start: graph.start === id, mark: marks?.nodes?.[id] ?? '', end: ways.length === 0 } };
  }), [graph, outcomes, steps, bad, selected, marks]);
  const edges = useMemo(() => Object.entries(graph.nodes).flatMap(([id, n]) => Object.entries(n.next ?? {}).filter(([, to]) => node(graph, to)).map(([o, to]): Edge<{ line: Line; mark: string; number: string }> => {
    const key = edgeId({ node: id, outcome: o });
    return { id: key, source: id, sourceHandle: o, target: to, type: 'way', data: { line: lineOf(o, steps.get(n.kind)), mark: marks?.edges?.[key] ?? '', number: marks?.numbers?.[key] ?? '' } };
  })), [graph, steps, marks]);
  const changed = useCallback((list: { id?: string; type: string; selected?: boolean; position?: { x: number; y: number }; dragging?: boolean }[]) => {
    const at: Record<string, number[]> = {};
    const next = new Set(selected);
    let sel = false;
    for (const c of list) {
      if (c.type === 'position' && c.position && c.id) at[c.id] = [Math.round(c.position.x / 10) * 10, Math.round(c.position.y / 10) * 10];
      if (c.type === 'select' && c.id) { sel = true; if (c.selected) next.add(c.id); else next.delete(c.id); }
    }
    if (Object.keys(at).length > 0) move?.(at);
    if (sel) select?.([...next]);
  }, [selected, move, select]);
  return (
    <div className="canvas" onDragOver={(e) => { if (drop) e.preventDefault(); }} onDrop={(e) => {
      const kind = e.dataTransfer.getData('application/x-step');
      const box = e.currentTarget.querySelector('.react-flow__viewport');
      if (!kind || !drop || !box) return;
      const m = new DOMMatrixReadOnly(getComputedStyle(box).transform);
      const r = e.currentTarget.getBoundingClientRect();
      drop(kind, [Math.round((e.clientX - r.left - m.e) / m.a / 10) * 10, Math.round((e.clientY - r.top - m.f) / m.d / 10) * 10]);
    }}>
      <ReactFlow nodes={nodes} edges={edges} nodeTypes={nodeTypes} edgeTypes={edgeTypes} onNodesChange={changed} nodesDraggable={!fixed} nodesConnectable={!fixed} edgesFocusable={false} deleteKeyCode={null} fitView fitViewOptions={{ maxZoom: 1, padding: 0.15 }} minZoom={0.15} onlyRenderVisibleElements={nodes.length > 150} proOptions={{ hideAttribution: true }}
        onConnect={(c) => { if (c.sourceHandle) connect?.(c.source, c.sourceHandle, c.target); }} onNodeDoubleClick={(_, n) => open?.(n.id)} onNodeClick={(_, n) => open?.(n.id)} onEdgeDoubleClick={(_, e) => { const x = edgeOf(e.id); disconnect?.(x.node, x.outcome); }}>
        <Background gap={20} />
        <Controls showInteractive={false} />
        <MiniMap pannable zoomable ariaLabel={t('Overview')} />
      </ReactFlow>
    </div>
  );
}
