// The pure parts of the journey editor: what a change does to a graph, one step
// back, differences, copies, the search.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const from = fileURLToPath(new URL('../src/journeys/model/', import.meta.url));
const to = mkdtempSync(join(tmpdir(), 'watchword-model-'));
after(() => rmSync(to, { recursive: true, force: true }));
for (const name of readdirSync(from)) {
  const { outputText } = ts.transpileModule(readFileSync(join(from, name), 'utf8'), { compilerOptions: { target: 'es2022', module: 'es2022' } });
  writeFileSync(join(to, name.replace(/\.ts$/, '.mjs')), outputText.replace(/(from '\.\/\w+)\.ts'/g, "$1.mjs'"));
}
const load = (name) => import(pathToFileURL(join(to, `${name}.mjs`)).href);
const [graph, past, search, clip, diffs, look, layouts, routes, overviews, tries] = await Promise.all(['graph', 'history', 'search', 'clipboard', 'diff', 'faces', 'layout', 'route', 'overview', 'tried'].map(load));

const freeze = (v) => { if (v && typeof v === 'object' && !Object.isFrozen(v)) { Object.freeze(v); Object.values(v).forEach(freeze); } return v; };
/** login → push → done; both refuse to no. Frozen: an operation that writes into it throws. */
const web = () => freeze({
  id: 'web', name: 'Web', kind: 'client', start: 'login',
  nodes: {
    login: { kind: 'ask', next: { success: 'push', cancel: 'no' }, at: [0, 0] },
    push: { kind: 'approve', config: { wait: 60, user: { expr: 'login.email' } }, next: { success: 'done', failure: 'no' }, at: [300, 0] },
    done: { kind: 'end', at: [600, 0] },
    no: { kind: 'stop', at: [600, 150] },
  },
});
const main = (g) => (id) => graph.mainOutcome(Object.keys(g.nodes[id]?.next ?? {}));

test('a new node stands on no other', () => {
  const g = web();
  for (const at of [[0, 0], [300, 0], [290, 60], [610, 100], [0, -400]]) {
    const [x, y] = graph.free(g, at);
    for (const n of Object.values(g.nodes)) assert.ok(Math.abs(n.at[0] - x) >= 280 || Math.abs(n.at[1] - y) >= 160, `${at} to ${x},${y} on ${n.at}`);
    assert.equal(x, at[0]);
  }
  assert.deepEqual(graph.free(g, [0, -400]), [0, -400], 'where there is room it stays');
});

test('a node is added, put into an edge, and connected', () => {
  const g = web();
  const added = graph.add(g, 'totp.authenticate', [1, 2], { node: 'push', outcome: 'failure' });
  assert.equal(added.id, 'totp_authenticate');
  assert.equal(added.graph.nodes.push.next.failure, added.id);
  assert.equal(graph.add(added.graph, 'totp.authenticate', [0, 0]).id, 'totp_authenticate_2');
  const put = graph.insert(g, { node: 'login', outcome: 'success' }, 'look', [0, 0], 'success');
  assert.equal(put.graph.nodes.login.next.success, 'look');
  assert.equal(put.graph.nodes.look.next.success, 'push');
  assert.equal(put.graph.nodes.done, g.nodes.done, 'what did not change is the same object');
  assert.equal(graph.connect(g, { node: 'login', outcome: 'success' }, 'nobody'), g);
  assert.equal(graph.add(graph.empty('a', 'A', 'client'), 'ask', [0, 0]).graph.start, 'ask', 'the first node is the start');
});

test('a node to which nothing leads is put into an edge', () => {
  const g = graph.add(web(), 'look', [0, 0]).graph;
  const edge = { node: 'login', outcome: 'success' };
  const put = graph.insertExisting(freeze(g), edge, 'look', 'success');
  assert.deepEqual([put.nodes.login.next.success, put.nodes.look.next.success], ['look', 'push']);
  assert.equal(graph.insertExisting(g, edge, 'done', 'success'), g, 'something leads there already');
  assert.equal(graph.insertExisting(g, { node: 'push', outcome: 'success' }, 'login', 'success'), g, 'the start would be in a circle');
  assert.equal(graph.insertExisting(g, { node: 'push', outcome: 'other' }, 'look', 'success'), g, 'there is no such edge');
  const led = graph.connect(g, { node: 'look', outcome: 'success' }, 'done');
  const kept = graph.insertExisting(led, edge, 'look', 'success');
  assert.deepEqual([kept.nodes.login.next.success, kept.nodes.look.next.success], ['look', 'done'], 'where it leads already stays');
  assert.equal(graph.insertExisting(g, edge, 'look').nodes.look.next, undefined, 'an end leads nowhere');
});

test('deleting closes the gap, or cuts', () => {
  const g = web();
  const gone = graph.remove(g, ['push'], main(g));
  assert.deepEqual(gone.nodes.login.next, { success: 'done', cancel: 'no' });
  const both = graph.remove(g, ['login', 'push'], main(g));
  assert.equal(both.start, 'done');
  const end = graph.remove(g, ['no'], main(g));
  assert.deepEqual(graph.dangling(end), [], 'no way is left to a node that is gone');
  assert.deepEqual(end.nodes.login.next, { success: 'push' });
  assert.equal(graph.remove(g, Object.keys(g.nodes), main(g)).start, '');
  const loop = freeze({ ...g, nodes: { ...g.nodes, push: { kind: 'approve', next: { success: 'login' } } } });
  assert.deepEqual(graph.remove(loop, ['login', 'push'], main(loop)).nodes, { done: g.nodes.done, no: g.nodes.no });
});

test('ways to nodes that are not there are found and cut', () => {
  const g = freeze({ ...web(), nodes: { a: { kind: 'ask', next: { success: 'ghost', cancel: 'a' } } } });
  assert.deepEqual(graph.dangling(g), [{ node: 'a', outcome: 'success' }]);
  assert.deepEqual(graph.cutDangling(g).nodes.a.next, { cancel: 'a' });
});

test('another id takes all ways with it', () => {
  const g = web();
  const r = graph.renameId(g, 'login', 'who');
  assert.equal(r.start, 'who');
  assert.deepEqual(Object.keys(r.nodes), ['who', 'push', 'done', 'no']);
  assert.equal(graph.renameId(g, 'no', 'stop').nodes.push.next.failure, 'stop');
  for (const bad of ['push', '', 'a b', '__proto__', 'x'.repeat(65)]) assert.equal(graph.renameId(g, 'login', bad), g, bad);
});

test('copies lead to copies', () => {
  const g = web();
  const { graph: p, ids } = graph.paste(g, graph.pick(g, ['login', 'push']), [10, 20]);
  assert.deepEqual(ids, ['login_2', 'push_2']);
  assert.deepEqual(p.nodes.login_2.next, { success: 'push_2', cancel: 'no' });
  assert.deepEqual(p.nodes.push_2.at, [310, 20]);
  assert.notEqual(p.nodes.push_2.config, g.nodes.push.config);
  const elsewhere = graph.paste(graph.empty('b', 'B', 'client'), graph.pick(g, ['push']), [0, 0]);
  assert.deepEqual([elsewhere.graph.start, elsewhere.graph.nodes.push.next], ['push', undefined]);
});

test('nodes change places on the main way', () => {
  const g = web();
  const e = graph.earlier(g, 'push', main(g));
  assert.equal(e.start, 'push');
  assert.equal(e.nodes.push.next.success, 'login');
  assert.equal(e.nodes.login.next.success, 'done');
  assert.deepEqual(graph.later(e, 'push', main(e)), g);
  assert.equal(graph.earlier(g, 'login', main(g)), g);
});

test('fifty steps back, and forth', () => {
  let h = past.start(0);
  for (let i = 1; i <= 60; i++) h = past.record(h, i);
  for (let i = 0; i < 60; i++) h = past.undo(h);
  assert.equal(h.now, 10);
  for (let i = 0; i < 60; i++) h = past.redo(h);
  assert.equal(h.now, 60);
  h = past.record(past.undo(h), 99);
  assert.equal(past.redo(h), h, 'a change forgets what was undone');
  h = past.record(past.record(past.record(past.start('a'), 'b', 'x'), 'c', 'x'), 'd', 'x');
  assert.equal(past.undo(h).now, 'a', 'typing is one step');
  assert.equal(past.undo(past.record(past.pause(h), 'e', 'x')).now, 'd');
});

test('differences', () => {
  const g = web();
  assert.equal(diffs.diff(g, graph.place(g, { push: [9, 9] })).same, true, 'where a node stands is none');
  let h = graph.remove(g, ['no'], main(g));
  h = graph.configure(h, 'push', { wait: 90, user: { expr: 'login.mail' } });
  h = graph.add(h, 'look', [0, 0]).graph;
  const d = diffs.diff(g, h);
  assert.deepEqual(Object.fromEntries(d.nodes.map((n) => [n.id, n.mark])), { login: 'changed', push: 'changed', done: 'same', look: 'added', no: 'removed' });
  assert.deepEqual(d.nodes.find((n) => n.id === 'push').changes, [
    { path: 'config.wait', before: 60, after: 90 },
    { path: 'config.user', before: { expr: 'login.email' }, after: { expr: 'login.mail' } },
    { path: 'next.failure', before: 'no', after: undefined },
  ]);
  assert.deepEqual(d.edges.filter((e) => e.mark !== 'same').map((e) => `${e.mark} ${e.node}.${e.outcome}`), ['removed login.cancel', 'removed push.failure']);
  assert.ok(d.both.nodes.no && d.both.nodes.look);
  assert.equal(diffs.equal({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }), true);
});

test('what is pasted is checked', () => {
  const g = web();
  assert.deepEqual(clip.read(clip.copy(graph.pick(g, ['push', 'done']))), { push: g.nodes.push, done: g.nodes.done });
  assert.deepEqual(Object.keys(clip.read(JSON.stringify(g))), Object.keys(g.nodes), 'a whole journey');
  const wrap = (nodes) => JSON.stringify({ format: 'watchword/nodes/1', nodes });
  for (const bad of ['', 'hello', '[]', '{}', '{"nodes":{"a":{"kind":"x"}}}', wrap({}), wrap({ 'a b': { kind: 'x' } }), wrap({ a: 1 }), wrap({ a: {} }), '{"format":"watchword/nodes/1","nodes":{"__proto__":{"kind":"x"}}}', wrap(Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`n${i}`, { kind: 'x' }])))]) {
    assert.equal(clip.read(bad), undefined, bad.slice(0, 60));
  }
  assert.deepEqual(clip.read(wrap({ a: { kind: 'x', at: [1, 'y'], evil: 1, next: { success: 7, failure: 'a' } } })), { a: { kind: 'x', next: { failure: 'a' } } });
});

test('steps are found by what people call them', () => {
  const step = (kind, title, category, doc, words) => ({ kind, title, category, doc, words, form: [], outcomes: [], roles: [], in: [], face: [] });
  const steps = [
    step('complete', 'Complete journey', 'End', 'Ends well.', ['finish', 'done']),
    step('code.sms', 'Code by text message', 'Authenticate', 'Sends a code.', ['SMS', 'OTP', 'MFA']),
    step('push.authenticate', 'Web to mobile authentication', 'Authenticate', 'Asks a phone.', ['push', 'approve', 'MFA']),
  ];
  const kinds = (q) => search.find(steps, q).map((s) => s.kind);
  assert.deepEqual(kinds('sms'), ['code.sms']);
  assert.deepEqual(kinds('mfa'), ['code.sms', 'push.authenticate']);
  assert.deepEqual(kinds('mobile aprove'), ['push.authenticate']);
  assert.deepEqual(kinds('  '), steps.map((s) => s.kind));
  assert.deepEqual(kinds('zebra'), []);
});

test('what shows the same is the same object', () => {
  const g = web();
  const steps = new Map([['approve', { kind: 'approve', title: 'Approve', outcomes: ['success', 'failure'], face: ['wait'] }]]);
  const faces = (h, problems = []) => look.facesOf(h, {}, steps, problems);
  const was = faces(g);
  assert.deepEqual(was.get('push').face, ['60']);
  const changed = (next) => [...next].filter(([id, f]) => f !== was.get(id)).map(([id]) => id);
  assert.deepEqual(changed(look.keep(was, faces(graph.place(g, { push: [50, 50] })))), [], 'where a node stands is not its face');
  assert.deepEqual(changed(look.keep(was, faces(graph.change(g, 'push', { label: 'Phone' })))), ['push']);
  assert.deepEqual(changed(look.keep(was, faces(g, [{ node: 'no', text: 'x' }, { node: 'done', text: 'y', warning: true }]))), ['no'], 'a note is no problem');
  assert.deepEqual(changed(look.keep(was, faces(graph.begin(g, 'push')))), ['login', 'push']);
  const ways = look.pathsOf(g, steps);
  const next = look.keep(ways, look.pathsOf(graph.connect(g, { node: 'push', outcome: 'failure' }, 'done'), steps));
  assert.deepEqual([...next.values()].filter((w) => !([...ways.values()].includes(w))).map((w) => [w.from, w.outcome, w.to]), [['push', 'failure', 'done']]);
  const lost = freeze({ ...g, nodes: { login: g.nodes.login } });
  assert.equal(look.pathsOf(lost, steps).size, 0, 'a way to nobody is not drawn');
});

test('steps are placed in columns from the start, none over another', () => {
  const g = web();
  const at = layouts.layout(g);
  assert.deepEqual(Object.keys(at).sort(), Object.keys(g.nodes).sort());
  const column = (id) => at[id][0] / 300;
  assert.deepEqual(['login', 'push', 'done', 'no'].map(column), [0, 1, 2, 2], 'behind all that lead to it');
  assert.deepEqual(at, layouts.layout(g), 'the same journey is placed the same');
  assert.deepEqual(layouts.layout(graph.place(g, at)), at, 'where a step stood does not matter');

  const apart = (places) => {
    const all = Object.entries(places);
    for (const [a, [ax, ay]] of all) for (const [b, [bx, by]] of all) if (a < b && ax === bx) assert.ok(Math.abs(ay - by) >= 150, `${a} and ${b} overlap`);
  };
  apart(at);
  const nodes = { a: { kind: 'x', next: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`o${i}`, `b${i}`])) } };
  for (let i = 0; i < 20; i++) nodes[`b${i}`] = { kind: 'x', next: { success: `b${(i * 7) % 20}`, failure: 'a' } };
  apart(layouts.layout(freeze({ ...g, start: 'a', nodes })));

  const loose = layouts.layout(graph.add(g, 'look', [0, 0]).graph);
  assert.equal(loose.look[0] / 300, 3, 'what nothing leads to stands behind all else');
  assert.deepEqual(Object.keys(layouts.layout(g, new Set(['push', 'nobody']))), ['push'], 'only what was chosen moves');
  assert.deepEqual(layouts.layout(graph.empty('a', 'A', 'client')), {});
  const again = freeze({ ...g, start: 'a', nodes: {
    a: { kind: 'x', next: { known: 'c', success: 'b' } }, b: { kind: 'x', next: { success: 'c' } }, c: { kind: 'x', next: { success: 'd', failure: 'e' } }, d: { kind: 'end' }, e: { kind: 'x', next: { success: 'b' } },
  } });
  const met = layouts.layout(again);
  assert.deepEqual(['a', 'b', 'c', 'd', 'e'].map((id) => met[id][0] / 300), [0, 1, 1, 2, 2], 'what is tried again stands where it is met first');
  const circle = freeze({ ...g, start: 'a', nodes: { a: { kind: 'x', next: { success: 'b' } }, b: { kind: 'x', next: { success: 'a', failure: 'gone' } } } });
  assert.deepEqual(layouts.layout(circle), { a: [0, 0], b: [300, 0] });
});

test('no step of a template stands on another', () => {
  const dir = fileURLToPath(new URL('../../../internal/journey/templates/', import.meta.url));
  const files = readdirSync(dir).filter((f) => f.endsWith('.json'));
  assert.ok(files.length > 10);
  for (const f of files) {
    const { nodes } = JSON.parse(readFileSync(join(dir, f), 'utf8'));
    const tall = (n) => (n.next ? 40 + 18 + 20 * Object.keys(n.next).length : 44); // at the least: the name, the kind, the ways out
    for (const [a, x] of Object.entries(nodes)) for (const [b, y] of Object.entries(nodes)) {
      if (a < b && Math.abs(x.at[0] - y.at[0]) < 190) assert.ok(x.at[1] < y.at[1] ? x.at[1] + tall(x) <= y.at[1] : y.at[1] + tall(y) <= x.at[1], `${f}: ${a} and ${b}`);
    }
  }
});

test('an end to which several ways lead stands below what they pass', () => {
  const g = freeze({ ...graph.empty('a', 'A', 'client'), start: 'a', nodes: {
    a: { kind: 'x', next: { success: 'b', failure: 'no' } }, b: { kind: 'x', next: { success: 'c', failure: 'no', again: 'a' } }, c: { kind: 'x', next: { success: 'yes', failure: 'no' } },
    no: { kind: 'stop' }, yes: { kind: 'end' },
  } });
  const tall = (id) => (id === 'b' ? 300 : 100);
  const at = layouts.layout(g, undefined, { tall, ways: (id) => Object.keys(g.nodes[id].next ?? {}) });
  assert.deepEqual(['a', 'b', 'c', 'yes'].map((id) => at[id]), [[0, 0], [300, 0], [600, 0], [900, 0]], 'the main way is one line');
  assert.equal(at.no[0], 900);
  assert.ok(at.no[1] >= 340, `${at.no[1]} is not below the highest step`);
});

test('a way goes around what stands between its ends', () => {
  const box = (x, y, h = 100) => ({ x, y, w: 200, h });
  const [a, b, c] = [box(0, 0), box(300, 0, 200), box(600, 0)];
  assert.equal(routes.detour(a, b, [a, b, c]), undefined, 'to the next column it goes straight');
  const via = routes.detour(a, c, [a, b, c]);
  assert.ok(via < 0 || via > 200, `${via} is behind the step between`);
  const low = box(600, 300);
  assert.equal(routes.detour(a, low, [a, b, low]), undefined, 'an end that is lower than all is reached along its own row');
  const back = routes.detour(b, a, [a, b]);
  assert.ok(back < 0 || back > 200, `a way back passes its own ends: ${back}`);
  for (const [s, t, on] of [[{ x: 200, y: 80 }, { x: 300, y: 50 }, undefined], [{ x: 200, y: 80 }, { x: 600, y: 50 }, 214], [{ x: 500, y: 80 }, { x: 0, y: 50 }, -14], [{ x: 500, y: 80 }, { x: 0, y: 50 }, undefined], [{ x: 0, y: 5 }, { x: 100, y: 5 }, undefined]]) {
    const points = routes.corners(s, t, 12, on);
    assert.deepEqual([points[0], points.at(-1)], [s, t]);
    points.slice(1).forEach((p, i) => assert.ok(p.x === points[i].x || p.y === points[i].y, 'it turns at right angles only'));
    assert.ok(points[1].x > s.x && points.at(-2).x < t.x, 'it leaves to the right and comes from the left');
    assert.match(routes.drawn(points).path, /^M[-\d.,LQ ]+$/);
  }
  assert.ok(routes.lane(0, 5) > routes.lane(4, 5) && routes.lane(4, 5) > 0, 'what leaves further up reaches further');
});

test('an overview is where steps are out of sight, and covers none if it can', () => {
  const box = (x, y) => ({ x, y, w: 200, h: 100 });
  const seen = { x: 0, y: 0, zoom: 1, width: 800, height: 600 };
  const at = (boxes, s = seen) => overviews.overviewAt(boxes, s);
  assert.equal(at([box(0, 0), box(600, 500)]), null, 'all of it is in sight');
  assert.equal(at([box(0, 0), box(601, 500)], { ...seen, width: 0 }), null, 'nothing is drawn yet');
  assert.equal(at([box(300, 200), box(900, 200)]), 'bottom-right');
  assert.equal(at([box(620, 480), box(900, 200)]), 'top-right');
  assert.equal(at([box(620, 480), box(620, 20), box(900, 200)]), 'top-left');
  assert.equal(at([box(620, 480), box(620, 20), box(20, 20), box(900, 200)]), 'top-left', 'each is covered, this one least');
  assert.equal(at([box(1240, 960), box(1800, 400)], { ...seen, zoom: 0.5 }), 'top-right', 'as it is seen, not as it stands');
});

test('a step that is chosen comes into sight, and the view moves no more than it must', () => {
  const box = (x, y) => ({ x, y, w: 200, h: 100 });
  const seen = { x: 0, y: 0, zoom: 1, width: 800, height: 600 };
  const by = (b, right) => overviews.broughtIn(b, seen, right);
  assert.deepEqual(by(box(300, 200)), { x: 0, y: 0 });
  assert.deepEqual(by(box(740, 200)), { x: 0, y: 0 }, 'enough of it is seen');
  assert.deepEqual(by(box(900, 200)), { x: -315, y: 0 });
  assert.deepEqual(by(box(-300, -200)), { x: 315, y: 215 });
  assert.deepEqual(by(box(560, 200), 240), { x: -215, y: 0 }, 'it lies below the drawer');
  assert.deepEqual(overviews.broughtIn({ x: 2000, y: 0, w: 2000, h: 100 }, seen), { x: -1985, y: 15 }, 'of what is too wide, where it begins');
});

test('a journey is tried with what it was tried with, else with whose it is', () => {
  const items = [
    { id: 'web', used_by: [{ app: '', client: '', as: 'phone' }, { app: 'shop', client: 'shop-app', as: 'sign-in' }, { app: 'shop', client: 'shop-web', as: 'sign-in' }, { app: 'bank', client: 'bank-web', as: 'sign-in' }] }, { id: 'phone', used_by: [{ app: '', client: '', as: 'web' }] },
    { id: 'a', used_by: [{ app: '', client: '', as: 'b' }] }, { id: 'b', used_by: [{ app: '', client: '', as: 'a' }] },
  ];
  const apps = ['bank', 'shop'];
  const begin = (id, tried = {}) => tries.beginWith(id, items, tried, apps);
  assert.deepEqual(begin('web'), { app: 'shop', clients: ['shop-app', 'shop-web'] });
  assert.deepEqual(begin('phone'), { app: 'shop', clients: ['shop-app', 'shop-web'] }, 'by the journey that runs it');
  assert.deepEqual(begin('a'), { app: 'bank', clients: [] }, 'the first there is');
  assert.deepEqual(begin('a', { b: { app: 'shop', client: 'x' } }), { app: 'shop', clients: ['x'] }, 'what was used last');
  assert.deepEqual(begin('web', { b: { app: 'bank', client: 'x' } }), { app: 'shop', clients: ['shop-app', 'shop-web'] });
  assert.deepEqual(begin('web', { web: { app: 'bank', client: 'x' }, b: { app: 'shop', client: 'y' } }), { app: 'bank', clients: ['x'] }, 'what this one was tried with');
  assert.deepEqual(begin('web', { web: { app: 'gone', client: 'x' } }), { app: 'shop', clients: ['shop-app', 'shop-web'] });
  assert.deepEqual(tries.beginWith('web', [], {}, []), { app: '', clients: [] });
  let tried = {};
  for (let i = 0; i < 60; i++) tried = tries.andNow(tried, `j${i}`, { app: 'a', client: String(i) });
  tried = tries.andNow(tried, 'j20', { app: 'b', client: '' });
  assert.equal(Object.keys(tried).length, 50);
  assert.equal(Object.keys(tried).at(-1), 'j20');
  assert.deepEqual(tries.readTried(JSON.stringify(tried)), tried);
  for (const text of [null, '', '7', '{"x":1}', '{"x":{"app":1}}', 'null', '[]']) assert.deepEqual(tries.readTried(text), {}, text);
});
