// The graph, drawn. What did not change keeps its object from one drawing to the
// next. A drag is the canvas's own until the mouse is let go: then it is one change.

import { createContext, memo, useCallback, useContext, useEffect, useMemo, useRef, useState, type RefObject } from 'react';
import { Background, BaseEdge, Controls, EdgeLabelRenderer, Handle, MiniMap, Position, ReactFlow, useOnViewportChange, useReactFlow, useStore, useStoreApi, useUpdateNodeInternals, type AriaLabelConfig, type Edge, type EdgeProps, type Node as FlowNode, type NodeChange, type NodeProps } from '@xyflow/react';
import '@xyflow/react/dist/style.css';
import type { Graph, Outcomes, Problem, Step } from './model/types.ts';
import { edgeOf, type Exit } from './model/types.ts';
import { boxesOf, facesOf, keep, pathsOf, type Face, type Marks, type Path } from './model/faces.ts';
import { isLoose, type Line } from './model/graph.ts';
import { broughtIn, overviewAt, size, type Seen } from './model/overview.ts';
import { corners, drawn, type Box as Place } from './model/route.ts';
import { Icon } from './icons.tsx';
import { number, plural, t, useLanguage } from '../words/words.ts';

export type { Marks };
type Box = FlowNode<Face>;
type Way = Edge<Path>;
type Places = Record<string, number[]>;

const signs: Record<Line, string> = { success: '✓', failure: '✕', escape: '↩', branch: '' };
const grid = (v: number) => Math.round(v / 10) * 10;
const nowhere: Places = {};

/** Which step is being renamed, and what to do with its name; null leaves it. */
const Renaming = createContext<{ id: string; done: (name: string | null, back?: boolean) => void }>({ id: '', done: () => {} });

/** The name of a step, and in its place a field while it is being renamed. */
function Name({ id, name }: { id: string; name: string }) {
  const { id: renamed, done } = useContext(Renaming);
  const over = useRef(false);
  if (renamed !== id) return <strong>{name}</strong>;
  const end = (text: string | null, back = false) => { if (!over.current) { over.current = true; done(text, back); } };
  return <input className="jname nodrag nopan" aria-label={t('What it is called')} defaultValue={name} autoFocus onFocus={(e) => { over.current = false; e.target.select(); }} onBlur={(e) => end(e.target.value)} onKeyDown={(e) => {
    e.stopPropagation();
    if (e.key === 'Enter' && !e.nativeEvent.isComposing) end(e.currentTarget.value, true);
    if (e.key === 'Escape') end(null, true);
  }} />;
}

const StepBox = memo(function StepBox({ id, data, selected }: NodeProps<Box>) {
  // Where the ports sit is measured anew when they are others.
  const ports = data.outcomes.map(([o]) => o).join('\u0000');
  const measured = useRef(ports);
  const measure = useUpdateNodeInternals();
  useEffect(() => { if (measured.current !== ports) { measured.current = ports; measure(id); } }, [id, ports, measure]);
  return (
    <div className={`jnode ${selected ? 'selected' : ''} ${data.mark} ${data.end ? 'end' : ''}`}>
      <Handle type="target" position={Position.Left} className="port in" />
      <div className="jhead">{data.start && <span className="jstart" title={t('Here it starts')}>▶</span>}<Icon category={data.category} /><Name id={id} name={data.name} />{data.problems > 0 && <span className="jbad" title={plural(data.problems, '{n} problem', '{n} problems')}>⚠ {data.problems}</span>}</div>
      {data.kind !== data.name && <div className="jkind">{data.kind}</div>}
      {data.face.map((f) => <div key={f} className="jface">{f}</div>)}
      <div className="jports">
        {data.outcomes.map(([o, line]) => (
          <div key={o} className={`jport ${line}`}><span>{signs[line]} {o}</span><Handle type="source" position={Position.Right} id={o} className="port out" /></div>
        ))}
      </div>
    </div>
  );
});

const WayLine = memo(function WayLine({ id, sourceX, sourceY, targetX, targetY, selected, data }: EdgeProps<Way>) {
  const { path, x, y } = drawn(corners({ x: sourceX, y: sourceY }, { x: targetX, y: targetY }, data?.out ?? 12, data?.via));
  return (
    <>
      <BaseEdge id={id} path={path} className={`way ${data?.line} ${data?.mark ?? ''} ${selected ? 'selected' : ''}`} />
      {data?.number && <EdgeLabelRenderer><div className="waynumber" style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>{data.number}</div></EdgeLabelRenderer>}
    </>
  );
});

const nodeTypes = { step: StepBox };
const edgeTypes = { way: WayLine };
const bare = { hideAttribution: true };
const snap: [number, number] = [10, 10];

/** The value of the last drawing, for handlers that stay the same. */
function useLatest<T>(value: T) {
  const ref = useRef(value);
  ref.current = value;
  return ref;
}

/** What `make` makes, where each entry that says the same as before is the object from before. */
function useKept<T>(make: () => Map<string, T>, on: unknown[]): Map<string, T> {
  const was = useRef(new Map<string, T>());
  return useMemo(() => (was.current = keep(was.current, make())), on);
}

/** The way that is drawn at a point of the window, if there is one. */
function wayAt(x: number, y: number): string {
  for (const el of document.elementsFromPoint(x, y)) {
    const way = el.closest('.react-flow__edge');
    if (way) return way.getAttribute('data-id') ?? '';
  }
  return '';
}

type Size = { width: number; height: number };

function useNodes(graph: Graph, faces: Map<string, Face>, selected: Set<string>, drag: Places, sizes: Map<string, Size>): Box[] {
  const was = useRef(new Map<string, Box>());
  const language = useLanguage();
  return useMemo(() => {
    const next = new Map<string, Box>();
    for (const [id, data] of faces) {
      const [x = 0, y = 0] = drag[id] ?? graph.nodes[id]?.at ?? [];
      const old = was.current.get(id);
      const measured = sizes.get(id);
      const same = old && old.data === data && old.measured === measured && old.selected === selected.has(id) && old.position.x === x && old.position.y === y;
      next.set(id, same ? old : { id, type: 'step', position: { x, y }, selected: selected.has(id), ariaLabel: data.name, domAttributes: { 'aria-roledescription': t('Step') }, data, ...(measured && { measured }) });
    }
    was.current = next;
    return [...next.values()];
  }, [graph, faces, selected, drag, sizes, language]);
}

/** What a way is called, for who does not see where it leads. */
const wayName = (faces: Map<string, Face>, p: Path) => t('{outcome}: from {from} to {to}', { outcome: p.outcome, from: faces.get(p.from)?.name ?? p.from, to: faces.get(p.to)?.name ?? p.to });

function useEdges(paths: Map<string, Path>, faces: Map<string, Face>, over: string): Way[] {
  const was = useRef(new Map<string, Way>());
  const language = useLanguage();
  return useMemo(() => {
    const next = new Map<string, Way>();
    for (const [id, data] of paths) {
      const old = was.current.get(id);
      const className = id === over ? 'over' : '';
      const ariaLabel = wayName(faces, data);
      next.set(id, old?.data === data && old.className === className && old.ariaLabel === ariaLabel ? old : { id, source: data.from, sourceHandle: data.outcome, target: data.to, type: 'way', className, ariaLabel, domAttributes: { 'aria-roledescription': t('Way') }, data });
    }
    was.current = next;
    return [...next.values()];
  }, [paths, faces, over, language]);
}

/** What the canvas tells who does not see it. */
function useLabels(fixed?: boolean): Partial<AriaLabelConfig> {
  const language = useLanguage();
  return useMemo(() => {
    const keys = fixed ? t('Enter or Space chooses the step.') : t('Enter or Space chooses the step, the arrow keys move it, F2 renames it, Delete removes it.');
    return {
      'node.a11yDescription.default': keys, 'node.a11yDescription.keyboardDisabled': keys, 'edge.a11yDescription.default': '',
      'node.a11yDescription.ariaLiveMessage': ({ x, y }) => t('Moved to {x}, {y}.', { x: number(x), y: number(y) }),
      'controls.ariaLabel': t('View'), 'controls.zoomIn.ariaLabel': t('Zoom in'), 'controls.zoomOut.ariaLabel': t('Zoom out'), 'controls.fitView.ariaLabel': t('Show all of it'),
    };
  }, [fixed, language]);
}

type View = { box: RefObject<HTMLDivElement | null>; boxes: Map<string, Place> };

/** How the graph is seen now. */
function useSeen(): () => Seen {
  const store = useStoreApi();
  return useCallback(() => { const { transform: [x, y, zoom], width, height } = store.getState(); return { x, y, zoom, width, height }; }, [store]);
}

/**
 * Leaves what is drawn where it is on the screen when the canvas begins elsewhere,
 * because something beside it folds; and brings a step into sight that is chosen
 * where nothing of it is seen.
 */
function Steady({ box, boxes, chosen, covered }: View & { chosen: string; covered: number }) {
  const { setViewport } = useReactFlow();
  const seen = useSeen();
  const places = useLatest(boxes);
  useEffect(() => {
    const canvas = box.current;
    if (!canvas) return;
    const stands = () => ({ left: canvas.getBoundingClientRect().left, of: innerWidth });
    let was = stands();
    const watch = new ResizeObserver(() => {
      if (!canvas.isConnected) return; // the page is left: it is told before this is undone
      const now = stands();
      const by = was.left - now.left;
      if (by !== 0 && was.of === now.of) { const { x, y, zoom } = seen(); void setViewport({ x: x + by, y, zoom }); }
      was = now;
    });
    watch.observe(canvas);
    return () => watch.disconnect();
  }, [box, seen, setViewport]);
  useEffect(() => {
    const at = places.current.get(chosen);
    const now = seen();
    const by = at && now.width > 0 ? broughtIn(at, now, covered) : { x: 0, y: 0 };
    if (by.x !== 0 || by.y !== 0) void setViewport({ x: now.x + by.x, y: now.y + by.y, zoom: now.zoom }, { duration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 200 });
  }, [chosen, covered, places, seen, setViewport]);
  return null;
}

/** All of a large graph in small, where it covers no step; it stays while somebody points at it. */
function Overview({ box, boxes }: View) {
  const seen = useSeen();
  const window = useStore((s) => `${s.width} ${s.height}`);
  const [corner, setCorner] = useState<ReturnType<typeof overviewAt>>(null);
  const look = useCallback(() => { if (!box.current?.querySelector('.react-flow__minimap:hover')) setCorner(overviewAt(boxes.values(), seen())); }, [box, boxes, seen]);
  useEffect(look, [look, window]);
  useOnViewportChange({ onEnd: look });
  return corner && <MiniMap position={corner} pannable zoomable ariaLabel={t('Overview')} style={size} />;
}

export type CanvasProps = {
  graph: Graph; outcomes: Outcomes; steps: Map<string, Step>; problems: Problem[]; selected: Set<string>; marks?: Marks; fixed?: boolean;
  /** The step that is open, and how much of the canvas to the right its drawer covers. */
  chosen?: string; covered?: number;
  select?: (ids: string[]) => void;
  /** Steps stand elsewhere; `about` joins what belongs together, such as steps of the arrow keys. */
  move?: (at: Places, about: string) => void;
  /** A step to which nothing leads was let go over a way. */
  insert?: (id: string, into: Exit, at: number[]) => void;
  connect?: (from: string, outcome: string, to: string) => void; disconnect?: (from: string, outcome: string) => void; rename?: (id: string, name: string) => void; open?: (id: string) => void; drop?: (kind: string, at: number[], into?: Exit) => void;
};

export function Canvas(props: CanvasProps) {
  const { graph, outcomes, steps, problems, selected, marks, fixed, chosen = '', covered = 0 } = props;
  const on = useLatest(props);
  const [drag, setDrag] = useState<Places>(nowhere);
  const [sizes, setSizes] = useState(() => new Map<string, Size>());
  const faces = useKept(() => facesOf(graph, outcomes, steps, problems, marks), [graph, outcomes, steps, problems, marks]);
  const boxes = useMemo(() => boxesOf(graph, faces, sizes), [graph, faces, sizes]);
  const paths = useKept(() => pathsOf(graph, steps, marks, faces, boxes), [graph, steps, marks, faces, boxes]);
  const nodes = useNodes(graph, faces, selected, drag, sizes);
  const [over, setOver] = useState('');
  const edges = useEdges(paths, faces, over);
  const labels = useLabels(fixed);
  const [renamed, setRenamed] = useState('');
  const dragged = useLatest(drag);
  const shown = useLatest(faces);
  const way = useLatest(over);

  const changed = useCallback((list: NodeChange<Box>[]) => {
    const moving: Places = {};
    const moved: Places = {};
    const sized = new Map<string, Size>();
    let chosen: Set<string> | undefined;
    for (const c of list) {
      if (c.type === 'position' && c.position) (c.dragging ? moving : moved)[c.id] = [grid(c.position.x), grid(c.position.y)];
      if (c.type === 'dimensions' && c.dimensions) sized.set(c.id, c.dimensions);
      if (c.type === 'select') { chosen ??= new Set(on.current.selected); if (c.selected) chosen.add(c.id); else chosen.delete(c.id); }
    }
    if (sized.size > 0) setSizes((was) => new Map([...was, ...sized]));
    if (chosen) on.current.select?.([...chosen]);
    if (Object.keys(moving).length > 0) setDrag((was) => ({ ...was, ...moving }));
    if (Object.keys(moved).length === 0) return;
    const [id, ...more] = Object.keys(moved);
    if (way.current && id && more.length === 0 && on.current.insert) on.current.insert(id, edgeOf(way.current), moved[id]!);
    // A drag is one change; what the arrow keys do to the same steps in a row is one too.
    else on.current.move?.(moved, dragged.current === nowhere ? `move ${Object.keys(moved).sort().join(' ')}` : '');
    setDrag(nowhere);
    setOver('');
  }, [on, dragged, way]);
  const box = useRef<HTMLDivElement>(null);
  const fit = useMemo(() => ({ maxZoom: 1, padding: { top: 0.08, bottom: 0.08, left: 0.08, right: covered > 0 ? `${covered + 24}px` as const : 0.08 } }), [covered]);
  const renaming = useMemo(() => ({ id: renamed, done: (name: string | null, back?: boolean) => {
    const text = name?.trim();
    if (text !== undefined && text !== shown.current.get(renamed)?.name) on.current.rename?.(renamed, text);
    setRenamed('');
    if (back) box.current?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(renamed)}"]`)?.focus();
  } }), [renamed, shown, on]);
  const does = useMemo(() => ({
    rename: (_: unknown, n: { id: string }) => { if (on.current.rename) setRenamed(n.id); },
    connect: (c: { source: string; sourceHandle: string | null; target: string }) => { if (c.sourceHandle) on.current.connect?.(c.source, c.sourceHandle, c.target); },
    open: (_: unknown, n: { id: string }) => on.current.open?.(n.id),
    drag: (e: MouseEvent | TouchEvent, n: { id: string }, all: unknown[]) => {
      const at = 'clientX' in e ? e : e.touches[0];
      setOver(at && all.length === 1 && isLoose(on.current.graph, n.id) ? wayAt(at.clientX, at.clientY) : '');
    },
    cut: (_: unknown, e: { id: string }) => { const x = edgeOf(e.id); on.current.disconnect?.(x.node, x.outcome); },
  }), [on]);
  return (
    <div className="canvas" ref={box} onKeyDown={(e) => {
      const node = (e.target as HTMLElement).closest('.react-flow__node') === e.target ? (e.target as HTMLElement).dataset.id : undefined;
      if (e.key === 'F2' && selected.size === 1) { e.preventDefault(); does.rename(e, { id: [...selected][0]! }); }
      if (node && (e.key === 'Enter' || e.key === ' ')) does.open(e, { id: node });
    }} onDragOver={(e) => { if (props.drop) { e.preventDefault(); setOver(wayAt(e.clientX, e.clientY)); } }} onDragLeave={() => setOver('')} onDrop={(e) => {
      const kind = e.dataTransfer.getData('application/x-step');
      const box = e.currentTarget.querySelector('.react-flow__viewport');
      setOver('');
      if (!kind || !props.drop || !box) return;
      const m = new DOMMatrixReadOnly(getComputedStyle(box).transform);
      const r = e.currentTarget.getBoundingClientRect();
      const into = wayAt(e.clientX, e.clientY);
      // The pointer holds it by its head.
      props.drop(kind, [grid((e.clientX - r.left - m.e) / m.a) - 90, grid((e.clientY - r.top - m.f) / m.d) - 20], into ? edgeOf(into) : undefined);
    }}>
      <Renaming.Provider value={renaming}>
        <ReactFlow nodes={nodes} edges={edges} nodeTypes={nodeTypes} edgeTypes={edgeTypes} onNodesChange={changed} nodesDraggable={!fixed} nodesConnectable={!fixed} edgesFocusable={false} deleteKeyCode={null} fitView fitViewOptions={fit} minZoom={0.15} snapToGrid snapGrid={snap} onlyRenderVisibleElements={nodes.length > 150} proOptions={bare} ariaLabelConfig={labels}
          onConnect={does.connect} onNodeDoubleClick={does.rename} onNodeClick={does.open} onNodeDrag={does.drag} onEdgeDoubleClick={does.cut}>
          <Background gap={20} />
          <Controls showInteractive={false} fitViewOptions={fit} />
          <Steady box={box} boxes={boxes} chosen={chosen} covered={covered} />
          {nodes.length > 12 && <Overview box={box} boxes={boxes} />}
        </ReactFlow>
      </Renaming.Provider>
    </div>
  );
}
