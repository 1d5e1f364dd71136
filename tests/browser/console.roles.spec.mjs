// Nobody is offered what their role may not do: each role but the owner, who may
// do everything, signs in, opens every place that the console shows them and presses
// everything that can be pressed there, as deep as dialogs go. What would change
// something is asked of the real server with names of nothing in it, so that its
// table answers and nothing happens. No answer may be 403.
// See console.mjs for what it needs.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { api, enter, page as owners, person, root, settled, spec, test, w } from './console.mjs';

const roles = ['security_admin', 'application_admin', 'helpdesk', 'auditor'];

/** A call with the same place in the table, about nothing that there is. */
const aboutNothing = (url) => url.replace(/\/(apps|users|webhooks|administrators|devices|sessions|authenticators|members|passkeys|deliveries|journeys|organisations|actions|clients|identifiers\/\w+)\/(?!templates|check|import|expression|completions|start)([^/?]+)/g, '/$1/nothing');

const dialogs = '[role=dialog], [role=alertdialog], [role=menu]';

class Visitor {
  denied = [];
  pressed = 0;
  written = new Set();
  constructor(page) { this.page = page; }

  async begin() {
    const { page } = this;
    page.on('dialog', (d) => void d.accept());
    await page.addInitScript(() => {
      // What a page asks once somebody has stopped typing or pressing, it asks at once,
      const later = window.setTimeout;
      window.setTimeout = (f, ms, ...rest) => later(f, ms <= 300 ? 0 : ms, ...rest);
      // and it is known how many changes it is asking for.
      const ask = window.fetch;
      window.asking = 0;
      window.fetch = (url, options) => {
        if ((options?.method ?? 'GET') === 'GET') return ask(url, options);
        window.asking++;
        return ask(url, options).finally(() => { window.asking--; });
      };
    });
    page.on('response', (r) => { if (r.status() === 403 && r.url().includes('/admin/v1/')) this.denied.push(`${r.request().method()} ${new URL(r.url()).pathname} at ${page.url()}`); });
    await page.route('**/admin/v1/**', async (route) => {
      const r = route.request();
      if (r.method() === 'GET') return route.continue();
      const headers = { ...r.headers() };
      delete headers['if-match'];
      const response = await route.fetch({ url: aboutNothing(r.url()), headers, ...(r.postData() && { postData: '{"nothing":1}' }) });
      this.written.add(`${r.method()} ${new URL(r.url()).pathname}`);
      if (response.status() === 403) this.denied.push(`${r.method()} ${new URL(r.url()).pathname}: ${await response.text()} at ${page.url()}`);
      return route.fulfill({ response });
    });
  }

  /** Waits until nothing is under way. */
  async idle() {
    await this.page.evaluate(() => new Promise((r) => { requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(r))); }));
    await this.page.waitForFunction(() => !window.asking && !document.querySelector('.loading, [aria-busy=true]'));
  }

  async open(path) {
    await this.page.goto(`${w.base}/console${path}`);
    await settled(this.page);
    await this.idle();
  }

  /** The innermost of what is open, or the page. */
  scope = () => this.page.evaluate((dialogs) => { const all = [...document.querySelectorAll(dialogs)]; document.querySelectorAll('[data-scope]').forEach((e) => e.removeAttribute('data-scope')); (all.at(-1) ?? document.querySelector('main')).setAttribute('data-scope', ''); return all.length; }, dialogs);

  /**
   * Every control in the scope that can be pressed, marked with its number: one of
   * those that are called the same, as in the rows of a table. What only closes is
   * left out, and what only changes a form.
   */
  controls = () => this.page.evaluate(() => {
    const box = document.querySelector('[data-scope]');
    box.querySelectorAll('form').forEach((f) => { f.noValidate = true; });
    const seen = [...box.querySelectorAll('button, [role=menuitem], [role=option], tbody tr.opens:first-child td:last-child')].filter((e) => e.checkVisibility() && !e.disabled && !e.hasAttribute('data-disabled') && !e.closest('.react-flow') && !e.classList.contains('close') && !['Cancel', 'Close', 'Stay', 'Done'].includes(e.textContent.trim()) && !e.closest('.pal, .toasts, .rows, .chips, .origin, .exprrow, tr.opens') || e.tagName === 'TD');
    const called = (e) => (e.getAttribute('aria-label') || e.textContent || e.type).replace(/:.*/, '').trim();
    document.querySelectorAll('[data-control]').forEach((e) => e.removeAttribute('data-control'));
    const names = new Set();
    return seen.filter((e) => { const name = `${e.tagName} ${called(e)}`; const first = !names.has(name); names.add(name); return first; }).map((e, i) => { e.setAttribute('data-control', i); return called(e); });
  });

  /** Types something into every field of the scope, so that there is something to store. */
  fill = () => this.page.evaluate(() => {
    const set = (e, v) => { Object.getOwnPropertyDescriptor(Object.getPrototypeOf(e), 'value').set.call(e, v); e.dispatchEvent(new Event('input', { bubbles: true })); };
    for (const e of document.querySelectorAll('[data-scope] :is(input:not([type=checkbox], [type=file], [type=color], [type=search], [type=datetime-local], [role=combobox]), textarea)')) if (!e.disabled && e.checkVisibility() && !e.closest('.filters, .palette, .inspector')) set(e, e.type === 'number' ? '7' : `${e.value}x`);
  });

  async press(i) {
    this.pressed++;
    await this.page.locator(`[data-scope] [data-control="${i}"]`).first().click({ timeout: 2000 }).catch(() => {});
    await this.idle();
  }

  /** Presses everything in what is open now; what opens by it is explored as well. */
  async explore(path, way, depth) {
    const level = await this.scope();
    await this.fill();
    await this.idle();
    const names = await this.controls();
    for (let i = 0; i < names.length; i++) {
      await this.scope();
      if ((await this.controls())[i] === undefined) continue;
      await this.press(i);
      if (depth > 0 && await this.scope() > level) await this.explore(path, [...way, i], depth - 1);
      if (await this.scope() === level && new URL(this.page.url()).pathname === `/console${path === '/' ? '' : path}` && level > 0) continue;
      await this.again(path, way);
    }
  }

  /** Comes back to where it was: the place, and what was pressed there. */
  async again(path, way) {
    if (way.length === 0 && new URL(this.page.url()).pathname === `/console${path === '/' ? '' : path}`) {
      for (let n = await this.scope(); n > 0; n--) { await this.page.keyboard.press('Escape'); await this.idle(); }
      if (await this.scope() === 0) return;
    }
    await this.open(path);
    for (const i of way) {
      await this.scope();
      await this.fill();
      await this.idle();
      await this.controls();
      await this.press(i);
    }
  }
}

await spec(async () => {
  const places = { Home: ['/'], Applications: ['/apps'], Methods: ['/methods', '/methods/password'], Journeys: ['/journeys', '/journeys/web_login', '/journeys/web_login/try', '/journeys/web_login/runs', '/journeys/web_login/versions', '/journeys/web_login/code'], Users: ['/users'], Audit: ['/audit'], Operate: [] };

  await test('something of everything is there', async () => {
    await enter();
    const { doc } = await api('GET', '/users?q=ada');
    const user = doc.items[0].id;
    const phone = spawnSync(process.env.WATCHWORD_BIN, ['phone', 'register', '--server', w.base, '--client', 'demo-native', '--email', 'roles@example.org', '--state', join(w.data, 'phone.json')], { cwd: root, encoding: 'utf8' });
    assert.equal(phone.status, 0, phone.stderr);
    const owner = (await api('GET', '/users?q=roles')).doc.items[0].id;
    await api('POST', '/apps', { id: 'partners', name: 'Partners', audience: 'b2b' });
    const org = (await api('POST', '/apps/partners/organisations', { name: 'ACME', domains: ['acme.example'] })).doc.id;
    await api('PUT', `/apps/partners/organisations/${org}/members/${user}`, { role: 'member' });
    const hook = (await api('POST', '/webhooks', { url: 'https://127.0.0.1:9/hook', events: ['admin.app.*'] })).doc.id;
    assert.equal((await api('POST', `/webhooks/${hook}/test`)).status, 200);
    await api('PUT', '/providers/smtp/main', { config: { host: 'mail.example.org', from: 'x@example.org' } });
    places.Applications.push(...['clients', 'clients/demo-backend', 'methods', 'methods/password', 'channels', 'branding'].map((t) => `/apps/demo/${t}`), '/apps/partners/organisations', `/apps/partners/organisations/${org}`);
    places.Users.push(...['authenticators', 'help', 'devices', 'sessions', 'timeline'].map((t) => `/users/${owner}/${t}`));
    places.Operate.push(...['administrators', 'passkeys', 'providers', 'webhooks', 'keys', 'settings'].map((t) => `/operate/${t}`), `/operate/webhooks/${hook}`);
  });

  await Promise.all(roles.map(async (role) => {
    await test(`what ${role} is offered`, async () => {
      const made = await api('POST', '/administrators', { name: role, email: `${role}@example.org`, role });
      assert.equal(made.status, 200, JSON.stringify(made.doc));
      const { context, page } = await person();
      page.setDefaultTimeout(5000);
      await page.goto(made.doc.link);
      await page.getByRole('navigation', { name: 'Console' }).waitFor();
      const v = new Visitor(page);
      await v.begin();
      const links = await page.getByRole('navigation', { name: 'Console' }).getByRole('link').allTextContents();
      assert.ok(links.length >= 2 && links.includes('Home'), links.join());
      const may = new Set((await (await context.request.get(`${w.base}/admin/v1/session`)).json()).may);
      for (const link of links) {
        for (const path of places[link]) {
          // Only what a tab leads to that they have.
          const [, place, second, third] = path.split('/');
          const [above, tab] = place === 'operate' ? ['/operate', second] : place === 'apps' && third ? [`/apps/${second}`, third] : ['', ''];
          if (above) {
            await v.open(above);
            if (await page.locator(`[role=tab][id$="-${tab}"]`).count() === 0) continue;
          }
          await v.open(path);
          await v.explore(path, [], 2);
          for (const href of await page.locator('main a[href^="/admin/v1"]').evaluateAll((all) => all.map((a) => a.href))) {
            const r = await context.request.get(href);
            if (r.status() === 403) v.denied.push(`GET ${href}`);
          }
        }
      }
      assert.deepEqual([...new Set(v.denied)], []);
      console.log(`     ${links.length} places, ${v.pressed} controls pressed, ${v.written.size} kinds of changes asked for`);
      // The walk would find something: whoever may change much has asked for much. Who
      // may only look tries tiers and passkeys, on whichever page comes first.
      const writes = [...may].filter((r) => !r.startsWith('GET')).length;
      assert.ok(v.pressed > 10 && v.written.size >= Math.min(40, writes / (writes > 20 ? 3 : 5)), `${v.written.size} changes of ${writes}: ${[...v.written].join('\n')}`);
      await context.close();
    }, 600);
  }));
  await owners.close();
});
