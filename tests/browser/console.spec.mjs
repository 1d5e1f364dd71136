// The console of `watchword dev` in a real browser: the printed link opens it, a
// passkey brings its owner back, every place is drawn in light and dark, wide and
// narrow, without a complaint; what is drawn can be published and run; settings
// act. Exit status 0 means that all of it held.
// See console.mjs for what it needs.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { accessible, api, at, complained, context, evil, forget, look, page, picture, press, quiet, root, saved, settled, shots, spec, test, w } from './console.mjs';
import { inView } from './still.mjs';

const middle = async (of) => { const { x, y, width, height } = await of.boundingBox(); return { x: x + width / 2, y: y + height / 2 }; };

async function publish(note) {
  await press('Publish');
  await page.getByLabel('What changed').fill(note);
  await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click();
  await page.getByText('Version 1', { exact: false }).first().waitFor();
}

/** The demo application's back end: what it hears for a password of the demo user. */
async function backEnd() {
  const basic = Buffer.from(`demo-backend:${w.facts.clients.backend.secret}`).toString('base64');
  const token = (await (await fetch(`${w.base}/oidc/token`, { method: 'POST', headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' }, body: 'grant_type=client_credentials' })).json()).access_token;
  return async (password) => (await fetch(`${w.base}/cis/v1/auth/password/authenticate`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify({ identifier: 'ada@example.org', password }) })).status;
}

async function copyOf(journey, id) {
  const { doc } = await api('GET', `/admin/v1/journeys/${journey}`);
  const made = await api('POST', '/admin/v1/journeys', { id, name: id, graph: { ...doc.draft.graph, id, name: id } });
  assert.equal(made.status, 200, JSON.stringify(made.doc));
}

/** Presses Tab until what has the focus is called that, or is of that role. */
async function tabTo(what) {
  for (let i = 0; i < 200; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((what) => { const e = document.activeElement; return e.getAttribute('role') === what || [e.getAttribute('aria-label'), e.labels?.[0]?.firstChild?.textContent, e.textContent].some((s) => s?.trim() === what); }, what)) return;
  }
  throw new Error(`Tab does not lead to ${what}`);
}

await spec(async () => {
  await test('the printed link opens it, and leaves the address bar', async () => {
    await page.goto(w.facts.console);
    await page.getByRole('link', { name: 'Journeys', exact: true }).waitFor();
    assert.equal(page.url(), `${w.base}/console`);
  });

  await test('a passkey brings its owner back', async () => {
    const cdp = await context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
    await at('/operate/passkeys');
    await page.getByRole('button', { name: 'Add a passkey' }).first().click();
    await page.getByRole('cell', { name: 'Passkey · Chrome, Linux', exact: true }).first().waitFor();
    await api('DELETE', '/admin/v1/session');
    await at('/');
    await press('Sign in with a passkey');
    await page.getByRole('link', { name: 'Journeys', exact: true }).waitFor();
  });

  await test('every place, wide and narrow, light and dark', async () => {
    const { doc } = await api('GET', '/admin/v1/users?q=ada');
    const user = doc.items[0].id;
    const places = ['/', '/apps', '/apps/demo', '/apps/demo/methods', '/apps/demo/channels', '/apps/demo/branding', '/methods', '/journeys', '/journeys/web_login', '/journeys/web_login/try', '/journeys/web_login/runs', '/journeys/web_login/versions', '/journeys/web_login/code',
      '/users', ...['authenticators', 'help', 'devices', 'sessions', 'timeline'].map((t) => `/users/${user}/${t}`), '/audit', ...['administrators', 'passkeys', 'providers', 'webhooks', 'keys', 'settings'].map((t) => `/operate/${t}`)];
    for (const path of places) await look(path);
  }, 400);

  if (shots) await test('pictures of the documentation', async () => {
    const attempt = await backEnd();
    for (const password of ['wrong', w.facts.user.password, w.facts.user.password, w.facts.user.password]) await attempt(password);
    while ((await api('GET', '/overview?hours=24')).doc.sign_ins.length === 0) await page.waitForTimeout(200); // what is sealed is counted
    await at('/');
    await page.locator('.bars').waitFor();
    await picture('console-home');
    await page.evaluate(() => localStorage.setItem('watchword.palette', 'folded'));
    await at('/journeys/web_login');
    await page.waitForFunction(() => document.querySelector('.react-flow__edge'));
    await page.locator('.react-flow__node[data-id=push] .jhead').click();
    await page.locator('.inspector h3').first().waitFor();
    await picture('console-editor');
    await at('/methods/password');
    for (let i = 1; i <= 6; i++) {
      await press('Fail again');
      await page.waitForFunction((n) => document.querySelectorAll('.sim .tick').length === n, i);
    }
    await picture('console-lockout');
  });

  await test('an application, and a lock that acts and is undone', async () => {
    await at('/apps');
    await press('Add an application');
    await page.getByLabel('Name', { exact: false }).first().fill(evil);
    await page.getByLabel('Id', { exact: true }).fill('second');
    await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: evil }).waitFor();
    const { doc } = await api('GET', '/admin/v1/users?q=ada');
    const user = doc.items[0].id;
    const set = await api('GET', '/admin/v1/apps/demo/methods/password');
    const put = await page.evaluate(async ([etag]) => (await fetch('/admin/v1/apps/demo/methods/password', { method: 'PUT', headers: { 'Content-Type': 'application/json', 'If-Match': etag }, body: JSON.stringify({ settings: { tiers: [{ failures: 2, minutes: 30 }] } }) })).status, [set.etag]);
    assert.equal(put, 200);
    const attempt = await backEnd();
    await attempt('wrong one');
    await attempt('wrong two');
    assert.equal(await attempt(w.facts.user.password), 403, 'the right one, while locked');
    await at(`/users/${user}/authenticators`);
    await page.waitForFunction(() => document.querySelector('.filters select')?.value === 'demo'); // where something is locked, of two
    const row = page.getByRole('row').filter({ hasText: 'Password' });
    await row.getByText('Locked').first().waitFor();
    await row.getByRole('button', { name: 'Change' }).click();
    await page.getByRole('menuitem', { name: 'Unlock' }).click();
    await row.getByText('Active').waitFor();
    assert.equal(await attempt(w.facts.user.password), 200, 'the right one, unlocked');
  });

  await test('a journey drawn in the outline, published and run; taken back and rolled back', async () => {
    await at('/journeys');
    await press('New journey');
    await page.getByLabel('Name', { exact: false }).first().fill('By keyboard');
    await page.keyboard.press('Enter');
    await page.getByText('No problems').waitFor();
    await press('Outline');
    await page.keyboard.press('n');
    await page.getByRole('dialog').getByRole('searchbox').fill('display information');
    await page.keyboard.press('Enter');
    await page.getByRole('treeitem', { name: /Display information/ }).waitFor();
    await page.getByLabel('What it is called').fill(evil);
    await page.getByLabel('Text', { exact: false }).first().fill('Hello from the outline');
    await page.getByLabel('success leads to').selectOption({ label: 'Complete journey (done)' });
    await press('Begin here');
    await page.getByText('No problems').waitFor();
    await page.locator('.saving', { hasText: 'Saved' }).waitFor();
    await page.locator('h1').focus();
    await page.keyboard.press('Control+z');
    await page.getByText(/notes|problems/).first().waitFor();
    await page.keyboard.press('Control+y');
    await page.locator('.saving', { hasText: 'Saved' }).waitFor();
    await page.getByText('No problems').waitFor();
    await press('Publish');
    await page.getByLabel('What changed').fill('first');
    await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click();
    await page.getByText('Version 1', { exact: false }).first().waitFor();
    const hosted = await (await context.request.get(`${w.base}/login/demo-web/by_keyboard`)).text();
    assert.match(hosted, /Hello from the outline/);
    const version = async (n) => { await at('/journeys/by_keyboard/versions'); await page.getByRole('button', { name: n, exact: true }).click(); await page.getByText('From version', { exact: false }).waitFor(); };
    await version('1');
    assert.equal(await page.getByRole('button', { name: 'Roll back', exact: true }).count(), 0, 'the live version is rolled back to');
    const { etag } = await api('GET', '/journeys/by_keyboard');
    assert.equal((await api('POST', '/journeys/by_keyboard/publish', { note: 'second' }, etag)).status, 200);
    await version('1');
    await press('Roll back');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Roll back' }).click();
    await page.getByRole('button', { name: '3', exact: true }).waitFor();
  });

  await test('steps moved, put into a way, renamed; and taken along', async () => {
    const { doc } = await api('GET', '/admin/v1/journeys/web_login');
    const graph = { ...doc.draft.graph, id: 'by_hand' };
    graph.nodes.loose = { kind: 'push.authenticate', at: [300, 400] };
    assert.equal((await api('POST', '/admin/v1/journeys', { id: 'by_hand', name: 'By hand', graph })).status, 200);
    const drawn = async () => (await api('GET', '/admin/v1/journeys/by_hand')).doc.draft.graph;
    const box = (id) => page.locator(`.react-flow__node[data-id=${id}] .jhead`);
    const name = (id) => page.locator(`.react-flow__node[data-id=${id}] strong`).textContent();
    /** Where all of it stands, once it stands still and elsewhere than before. */
    const stand = (before = '') => page.waitForFunction((before) => new Promise((seen) => {
      const now = () => String([...document.querySelectorAll('.react-flow__node')].map((n) => n.style.transform));
      const was = now();
      requestAnimationFrame(() => requestAnimationFrame(() => seen(was !== before && was === now() && was)));
    }), before).then((h) => h.jsonValue());
    const saved = () => page.waitForFunction(() => document.querySelector('.saving')?.textContent === 'Saved');
    const hold = async (from, to) => {
      await page.mouse.move(...from);
      await page.mouse.down();
      await page.mouse.move(from[0] + 10, from[1] + 10, { steps: 2 });
      await page.mouse.move(...to, { steps: 6 });
      await page.mouse.move(to[0] + 1, to[1]);
    };
    const head = async (id) => { const b = await box(id).boundingBox(); return [b.x + b.width / 2, b.y + b.height / 2]; };
    const way = (from, outcome) => page.locator(`.react-flow__edge[data-id^=${from}][data-id$=${outcome}] .react-flow__edge-path`).evaluate((p) => { const q = p.getPointAtLength(p.getTotalLength() / 2); const m = p.getScreenCTM(); return [q.x * m.a + m.e, q.y * m.d + m.f]; });
    await page.evaluate(() => localStorage.removeItem('watchword.palette'));
    await at('/journeys/by_hand');
    await box('login').waitFor();
    await page.waitForFunction(() => document.querySelector('.react-flow__edge'));

    // Whoever opens a step gets room for it: the palette folds, and what is drawn stays under the pointer.
    const stays = async (was) => { const is = await box('push').boundingBox(); assert.ok(Math.abs(is.x - was.x) < 1 && Math.abs(is.y - was.y) < 1, `${JSON.stringify(was)} has moved to ${JSON.stringify(is)}`); };
    const wide = () => page.locator('.canvas').boundingBox().then((b) => b.width);
    const rail = page.locator('.rail');
    const [before, stood] = [await wide(), await box('push').boundingBox()];
    await box('push').click();
    await rail.waitFor();
    assert.ok(await wide() > Math.max(640, before + 100), `${before} became ${await wide()}`);
    await stays(stood);
    const focus = (name) => page.waitForFunction((name) => document.activeElement.getAttribute('aria-label') === name, name);
    await rail.getByRole('button', { name: 'Find a step', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.type === 'search');
    await page.keyboard.type('passkey');
    await rail.locator('.pal').first().waitFor();
    await accessible('the rail, open');
    await rail.getByRole('searchbox').press('Escape');
    await page.locator('.railpalette').waitFor({ state: 'detached' });
    await focus('Find a step');
    await rail.getByRole('button', { name: 'Sign', exact: true }).press('Enter');
    await page.waitForFunction(() => document.activeElement.closest('[data-group]')?.dataset.group === 'Sign');
    await page.locator('h1').click(); // whatever else is turned to
    await page.locator('.railpalette').waitFor({ state: 'detached' });
    await rail.getByRole('button', { name: 'Show the steps' }).press('Enter');
    await rail.waitFor({ state: 'detached' });
    await focus('Fold the steps');
    await stays(stood);
    await box('login').click(); // who unfolded it wants it
    await page.waitForFunction(() => document.querySelector('.react-flow__node[data-id=login] .selected'));
    assert.equal(await rail.count(), 0);
    await press('Fold the steps');
    await rail.waitFor();
    await at('/journeys/by_hand'); // as it was left
    await rail.waitFor();
    await page.waitForFunction(() => document.querySelector('.react-flow__edge'));

    const places = [await stand()];
    for (const by of [30, 50]) {
      const [x, y] = await head('push');
      await hold([x, y], [x + by, y + by]);
      await page.mouse.up();
      places.push(await stand(places.at(-1))); // each drag moves it
    }
    for (const before of [places[1], places[0]]) {
      await page.keyboard.press('Control+z');
      await page.waitForFunction((want) => String([...document.querySelectorAll('.react-flow__node')].map((n) => n.style.transform)) === want, before);
    }

    await hold(await head('loose'), await way('login', 'web_to_mobile'));
    await page.locator('.react-flow__edge.over').waitFor();
    await page.mouse.up();
    await saved();
    let g = await drawn();
    assert.deepEqual([g.nodes.login.next.web_to_mobile, g.nodes.loose.next.success], ['loose', 'push']);

    await box('login').dblclick();
    await page.keyboard.type('Who are you?');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Try', exact: true }).click(); // at once: what is not stored yet is taken along
    await page.waitForFunction(() => [...document.querySelectorAll('.jnode strong')].some((n) => n.textContent === 'Who are you?'));
    await page.getByRole('link', { name: 'Draw', exact: true }).click();
    assert.equal(await name('login'), 'Who are you?');
    await box('login').dblclick();
    await page.keyboard.type('Hello');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.saving')?.textContent !== 'Saved');
    await saved();
    g = await drawn();
    assert.equal(g.nodes.login.label, 'Hello', 'nobody else changed it');
  });

  await test('300 steps: a frame of dragging costs less than 8 ms of script', async () => {
    const nodes = { end: { kind: 'complete', at: [0, 15 * 130] } };
    for (let n = 0; n < 299; n++) nodes[`n${n}`] = { kind: 'condition', config: { if: { expr: 'true' } }, next: { true: n < 298 ? `n${n + 1}` : 'end', false: n < 279 ? `n${n + 20}` : 'end' }, at: [(n % 20) * 260, Math.floor(n / 20) * 130] };
    const made = await api('POST', '/journeys', { id: 'large', name: 'Large', graph: { id: 'large', name: 'Large', kind: 'client', start: 'n0', nodes } });
    assert.equal(made.status, 200, JSON.stringify(made.doc));
    await page.setViewportSize({ width: 1920, height: 1080 }); // all of it in sight
    await at('/journeys/large');
    await page.waitForFunction(() => document.querySelectorAll('.react-flow__node').length === 300 && document.querySelectorAll('.react-flow__edge').length === 598);
    assert.equal(await page.locator('.react-flow__minimap').count(), 0, 'an overview of what is in sight');
    const middle = page.locator('.react-flow__node[data-id=n150]');
    const { x, y } = await middle.locator('.jhead').boundingBox().then((b) => ({ x: b.x + b.width / 2, y: b.y + b.height / 2 }));
    const stood = await middle.evaluate((n) => n.style.transform);
    const cdp = await context.newCDPSession(page);
    await cdp.send('Performance.enable', { timeDomain: 'threadTicks' }); // of the processor: what others take meanwhile is not ours
    const spent = async () => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'ScriptDuration').value * 1000;
    await page.mouse.move(x, y);
    await page.mouse.down();
    const usual = [];
    for (let drag = 0; drag < 3; drag++) {
      const frames = [];
      for (let n = 1, before = await spent(); n <= 30; n++) {
        await page.mouse.move(x + 30 * drag + n, y + n % 20);
        await page.evaluate(() => new Promise(requestAnimationFrame));
        const now = await spent();
        frames.push(now - before);
        before = now;
      }
      usual.push(frames.sort((a, b) => a - b)[15]);
    }
    await page.mouse.up();
    await page.waitForFunction(([n, was]) => n.style.transform !== was, [await middle.elementHandle(), stood]);
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.locator('.react-flow__minimap').waitFor();
    const script = Math.min(...usual); // a machine that is busy elsewhere makes it more, never less
    console.log(`     ${script.toFixed(1)} ms of script in the usual frame`);
    assert.ok(script > 0.1 && script < 8, String(usual));
  });

  await test('a journey drawn by mouse, and run on its page', async () => {
    const name = `Drawn <b>${evil}`;
    await at('/journeys');
    await press('New journey');
    const dialog = page.getByRole('dialog');
    await accessible('dialog: new journey');
    await dialog.getByLabel('Name', { exact: false }).first().fill(name);
    await dialog.getByLabel(/^Id/).fill('by_mouse');
    await page.evaluate(() => localStorage.setItem('watchword.palette', 'folded'));
    await dialog.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText('No problems').waitFor();
    const node = (text) => page.locator('.react-flow__node').filter({ hasText: text });
    await node('Complete journey').waitFor();
    await page.locator('.rail').getByRole('button', { name: 'Find a step' }).click();
    await page.locator('.railpalette').getByRole('button', { name: /^Display information/ }).dragTo(page.locator('.canvas'), { targetPosition: { x: 420, y: 420 } });
    await node('Display information').waitFor();
    await page.locator('.railpalette').waitFor({ state: 'detached' });
    await page.getByLabel('Text', { exact: false }).first().fill(`Hello by mouse ${evil}`);
    await press('Begin here');
    await saved(); // what the server says of it has come: a face grows by that
    await inView(page);
    const from = node('Display information').locator('.react-flow__handle.source[data-handleid="success"]');
    const to = node('Complete journey').locator('.react-flow__handle.target');
    const [a, b] = [await middle(from), await middle(to)];
    await page.mouse.move(a.x, a.y);
    await page.mouse.down();
    await page.mouse.move((a.x + b.x) / 2, (a.y + b.y) / 2, { steps: 8 });
    await page.mouse.move(b.x, b.y, { steps: 8 });
    await page.mouse.up();
    await page.locator('.react-flow__edge').first().waitFor({ state: 'attached' });
    await saved();
    await page.getByText('No problems').waitFor();
    await publish('drawn by mouse');
    await page.goto(`${w.base}/login/demo-web/by_mouse`);
    await page.getByText('Hello by mouse', { exact: false }).waitFor();
    assert.equal(await page.evaluate(() => document.querySelectorAll('img[src=x], script:not([src])').length), 0, 'a text became markup');
  });

  await test('a journey drawn by keyboard alone', async () => {
    await copyOf('by_mouse', 'by_keys');
    await at('/journeys/by_keys');
    await page.getByText('No problems').waitFor();
    await tabTo('Outline');
    await page.keyboard.press('Enter');
    await tabTo('treeitem');
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('n');
    await page.getByRole('dialog').waitFor();
    await accessible('dialog: add a step');
    await page.keyboard.type('display information');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.querySelectorAll('[role=treeitem]').length === 3);
    await tabTo('What it is called');
    await page.keyboard.type('A second page');
    await tabTo('Text');
    await page.keyboard.type('Hello from the keys');
    await saved();
    await page.getByRole('treeitem', { name: /A second page/ }).waitFor();
    await page.getByText('No problems').waitFor();
    await tabTo('Publish');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await accessible('dialog: publish');
    await page.keyboard.type('by keys');
    await page.keyboard.press('Enter');
    await page.getByText('Version 1', { exact: false }).first().waitFor();
    assert.equal((await api('GET', '/admin/v1/journeys/by_keys')).doc.published.version, 1);
  });

  await test('a condition is an expression', async () => {
    await at('/journeys');
    await press('New journey');
    await page.getByLabel('Name', { exact: false }).first().fill('Condition');
    await page.keyboard.press('Enter');
    await page.getByText('No problems').waitFor();
    await page.keyboard.press('n');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('condition');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    const row = page.locator('.inspector .fieldrow').filter({ has: page.locator('label', { hasText: /^If/ }) });
    await row.getByRole('textbox').fill('1 +'); // no box to tick: what is asked is what is known
    await row.getByText(/^Line 1/).waitFor();
    await row.getByRole('textbox').fill('@policy.isUserAuthenticated()');
    await saved();
    const { doc } = await api('GET', '/admin/v1/journeys/condition');
    const node = Object.values(doc.draft.graph.nodes).find((n) => n.kind === 'condition');
    assert.deepEqual(node.config.if, { expr: '@policy.isUserAuthenticated()' });
  });

  await test('what is drawn is still there after another tab', async () => {
    await copyOf('by_mouse', 'two_tabs');
    await at('/journeys/two_tabs');
    await page.getByText('No problems').waitFor();
    await page.getByLabel('Name', { exact: true }).fill('Renamed once');
    await saved();
    await page.getByRole('link', { name: 'Code', exact: true }).click();
    await page.getByRole('toolbar', { name: 'Editor' }).waitFor({ state: 'detached' });
    const application = page.getByRole('combobox', { name: 'Application', exact: true });
    await page.waitForFunction(() => document.querySelector('.filters select')?.value);
    await application.selectOption('second');
    await page.getByRole('link', { name: 'Draw', exact: true }).click();
    await page.getByLabel('Name', { exact: true }).waitFor();
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Renamed once');
    await page.getByLabel('Name', { exact: true }).fill('Renamed twice');
    await saved();
    assert.equal((await api('GET', '/admin/v1/journeys/two_tabs')).doc.draft.graph.name, 'Renamed twice');
    await page.getByRole('link', { name: 'Code', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('.filters select')?.value === 'second'); // as it was left
    await at('/journeys/sign_in/code');
    await page.waitForFunction(() => [...document.querySelectorAll('.filters select')].map((s) => s.value).join() === 'demo,demo-web'); // whose journey it is
  });

  await test('whoever drew meanwhile is not overwritten', async () => {
    await copyOf('by_mouse', 'two_people');
    await at('/journeys/two_people');
    await page.getByText('No problems').waitFor();
    await press('Outline');
    const now = await api('GET', '/admin/v1/journeys/two_people');
    const other = await page.evaluate(async ([etag, graph]) => (await fetch('/admin/v1/journeys/two_people/draft', { method: 'PUT', headers: { 'Content-Type': 'application/json', 'If-Match': etag }, body: JSON.stringify({ graph }) })).status, [now.etag, { ...now.doc.draft.graph, name: 'Theirs' }]);
    assert.equal(other, 200);
    await page.getByLabel('Name', { exact: true }).fill('Mine');
    await page.getByRole('dialog', { name: 'Somebody else changed this journey' }).waitFor();
    await accessible('dialog: conflict');
    assert.ok(complained().every((c) => c.includes('412')), complained().join('\n'));
    forget(); // the browser tells of the 412 that was asked for
    assert.equal(await page.getByRole('dialog').getByRole('button', { name: 'Close' }).count(), 0, 'there is no way around the question');
    await press('Load what is there');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('tree').waitFor(); // where one was
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Theirs');
    assert.equal((await api('GET', '/admin/v1/journeys/two_people')).doc.draft.graph.name, 'Theirs');
  });

  await test('names that are markup stay text, in every list', async () => {
    for (const path of ['/', '/apps', '/apps/second', '/journeys', '/journeys/by_mouse', '/journeys/by_mouse/versions', '/journeys/by_mouse/code', '/journeys/by_mouse/runs', '/audit']) {
      await at(path);
      await settled();
      assert.equal(await page.evaluate(() => document.querySelectorAll('img[src=x], script:not([src])').length), 0, path);
      quiet(path);
    }
  });

  await test('signing out ends the session, not only the page', async () => {
    await at('/');
    await settled();
    await page.locator('.foot').getByRole('button').last().click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
    assert.equal((await api('GET', '/admin/v1/apps')).status, 401);
    forget(); // the 401 that was asked for
    await press('Sign in with a passkey');
    await page.getByRole('link', { name: 'Journeys', exact: true }).waitFor();
  });

  await test('other sites change nothing', async () => {
    const r = await fetch(`${w.base}/admin/v1/apps`, { method: 'POST', headers: { 'Content-Type': 'application/json', Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site', Cookie: (await context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ') }, body: JSON.stringify({ id: 'stolen', name: 'Stolen', audience: 'b2c' }) });
    assert.equal(r.status, 403);
    assert.equal((await api('GET', '/admin/v1/apps')).doc.items.some((a) => a.id === 'stolen'), false);
  });

  await test('what is loaded first is below 250 kB', async () => {
    const assets = join(root, 'ui/console/dist/assets');
    const html = readFileSync(join(root, 'ui/console/dist/index.html'), 'utf8');
    const names = [...html.matchAll(/assets\/([\w.-]+\.(?:js|css))/g)].map((m) => m[1]);
    const size = names.reduce((n, name) => n + statSync(join(assets, `${name}.gz`)).size, 0);
    assert.ok(names.length > 0 && size < 250_000 && readdirSync(assets).length > 4, `${size} bytes`);
    console.log(`     ${size} bytes`);
  });
});
