// What the server says by itself, in the reader's language: refusals at the field that
// they are about, problems of a journey, the linter's notes, what support may do.
// See console.mjs for what it needs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { accessible, api, at, enter, forget, look, page, settled, spec, test, visitor } from './console.mjs';

const read = (language, name = '') => JSON.parse(readFileSync(new URL(`../../ui/console/src/words/${name}${language}.json`, import.meta.url), 'utf8'));
const words = { de: { ...read('de', 'catalog/'), ...read('de') }, ja: { ...read('ja', 'catalog/'), ...read('ja') } };
let language = 'de';
const app = Object.fromEntries(['de', 'ja'].map((l) => [l, JSON.parse(readFileSync(new URL(`../../ui/authenticator/lang/${l}.json`, import.meta.url), 'utf8'))]));
const say = (text) => { assert.equal(typeof words[language][text], 'string', text); return words[language][text]; };
const speak = async (l) => { language = l; await page.evaluate((l) => localStorage.setItem('watchword.language', l), l); };
const button = (text, on = page) => on.getByRole('button', { name: say(text), exact: true });
const field = (text, on = page) => on.getByRole('textbox', { name: new RegExp(`^${say(text)}( \\*)?$`) }).and(page.locator(':not([type=color])'));
const dialog = () => page.getByRole('dialog');

/** Waits until a control is marked, has the focus, and is described by what is wrong. */
async function marked(control, text, on = page) {
  await control.and(page.locator('[aria-invalid=true]')).waitFor();
  const about = (await control.getAttribute('aria-describedby')).split(' ');
  const said = (await Promise.all(about.map((id) => page.locator(`[id="${id}"]`).textContent()))).join('\n');
  assert.ok(said.includes(text), `${said} does not say: ${text}`);
  await page.waitForFunction((e) => e === document.activeElement, await control.elementHandle());
  await on.getByRole('alert').getByText(say('This was refused. Look at what is marked.')).waitFor();
  forget(); // the refusal that was asked for
}

/** Whoever listens to the canvas hears it in their language: its steps, ways and buttons, and how it is moved about in. */
async function heard(l) {
  await page.locator('.react-flow__edge').first().waitFor({ state: 'attached' }); // ways are drawn when steps are measured
  const all = await page.locator('.canvas').evaluate((canvas) => [...canvas.querySelectorAll('*')].flatMap((e) => ['aria-label', 'aria-roledescription', 'title'].map((a) => e.getAttribute(a)).concat(e.id.includes('-desc-') ? [e.textContent] : [])).filter(Boolean));
  const way = { de: /^success: von .+ zu .+$/, ja: /^success:.+ から .+ へ$/ }[l];
  assert.ok(all.some((text) => way.test(text)), all.join(' | '));
  for (const text of ['Step', 'Way', 'View', 'Zoom in', 'Zoom out', 'Show all of it', 'Enter or Space chooses the step, the arrow keys move it, F2 renames it, Delete removes it.']) assert.ok(all.includes(say(text)), `${text} is not said: ${all.join(' | ')}`);
  assert.ok(!all.some((text) => /Edge|Press|Zoom (In|Out)|Fit View|Control Panel|^(node|edge)$/.test(text)), all.join(' | '));
  const step = page.locator('.react-flow__node').first();
  await step.focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction((moved) => new RegExp(moved).test(document.querySelector('[id^=react-flow__aria-live]').textContent), say('Moved to {x}, {y}.').replace(/\{\w\}/g, '[-\\d.,]+'));
}

/** Has the server get something else of a form than the browser lets through. */
const instead = (path, change) => page.route(`**/admin/v1${path}`, async (route) => {
  if (route.request().method() === 'GET') { await route.fallback(); return; }
  const body = route.request().postDataJSON();
  change(body);
  await route.continue({ postData: JSON.stringify(body) });
});

await spec(async () => {
  await enter();
  await speak('de');

  await test('a refused client says which address it is; what the form does not show is named', async () => {
    await at('/apps/demo/clients/demo-web');
    const rows = dialog().getByRole('group', { name: say('Redirect addresses'), exact: true });
    await button('Add', rows).click();
    const n = await rows.getByRole('textbox').count();
    const row = rows.getByRole('textbox', { name: `${say('Redirect addresses')} ${n}`, exact: true });
    await row.fill('javascript:alert(1)');
    await field('Name', dialog()).focus();
    await button('Save', dialog()).click();
    await marked(row, 'Ein Browser kann nicht zu „javascript:alert(1)“ zurückkehren', dialog());
    const refused = async () => {
      await at('/apps/demo/clients/demo-web');
      await button('Add', rows).click();
      await row.fill('javascript:alert(1)');
      await button('Save', dialog()).click();
      await marked(row, 'Ein Browser kann nicht zu „javascript:alert(1)“ zurückkehren', dialog());
    };
    await look('/apps/demo/clients/demo-web refused', refused);
    await row.fill('https://ok.example/');
    await instead('/apps/demo/clients/demo-web', (body) => { Object.assign(body.settings, { nonsense: 1, require_dpop_nonce: 'yes' }); });
    await button('Save', dialog()).click();
    await dialog().locator('[aria-invalid=true]').and(dialog().getByRole('checkbox')).waitFor();
    await marked(dialog().getByRole('checkbox', { name: say('Only DPoP proofs with a nonce of ours'), exact: true }), say('This must be true or false.'), dialog());
    const alert = dialog().getByRole('alert');
    assert.equal(await alert.getByRole('listitem').textContent(), `settings.nonsense: ${say('There is no such field.')}`);
    await page.unrouteAll();
    await button('Save', dialog()).click();
    await dialog().waitFor({ state: 'detached' });
  });

  await test('every other form marks what was refused', async () => {
    const org = (await api('POST', '/apps', { id: 'partners', name: 'Partners', audience: 'b2b' }), await api('POST', '/apps/partners/organisations', { name: 'ACME' })).doc.id;
    const hook = (await api('POST', '/webhooks', { url: 'https://hooks.example/w', events: ['*'] })).doc.id;
    const user = (await api('POST', '/users', { email: 'grace@example.org' })).doc.id;
    const taken = say('Somebody already goes by that name.');
    const forms = [
      ['/apps', 'Add an application', [['Name', 'Again'], ['Id', 'demo']], 'Add', say('This id is taken.')],
      ['/apps/demo/clients', 'Add a client', [['Name', 'Again'], ['Id', 'Ä b']], 'Add', say('This has 1 to 64 small letters, digits, dots, dashes and underscores.')],
      ['/apps/demo/clients', 'Add a client', [['Name', 'Again'], ['Where the browser may return to', 'https://ok.example/ nowhere']], 'Add', 'Ein Browser kann nicht zu „nowhere“ zurückkehren'],
      ['/users', 'Add a user', [['E-mail address', 'grace@example.org']], 'Add', taken],
      ['/users', 'Add a user', [['Phone number', '0171']], 'Add', say('That is not {text}.').replace('{text}', say('a phone number with its country code'))],
      [`/users/${user}`, 'Add a name', [['Name', 'ada@example.org']], 'Add', taken],
      ['/apps/partners/organisations', 'Add an organisation', [['Name', 'Again'], ['Domains', 'ACME']], 'Add', say('A domain is like example.org, in lower case.')],
      [`/apps/partners/organisations/${org}`, 'Change', [['Domains', 'ACME']], 'Save', say('A domain is like example.org, in lower case.')],
      ['/operate/webhooks', 'Add a webhook', [['Address', 'https://ada@hooks.example/']], 'Add', say('A webhook has an address: https://, without a name and a fragment in it.')],
      [`/operate/webhooks/${hook}`, 'Change', [['Events', 'Push!']], 'Save', say('Events are like push.approved, push.* or *.')],
      ['/operate/administrators', 'Invite an administrator', [['Name', 'Ada'], ['E-mail address', 'ada@.example']], 'Make a link', say('That is not {text}.').replace('{text}', say('an e-mail address'))],
      ['/journeys', 'New journey', [['Name', 'Again'], ['Id', 'sign_in']], 'Create', say('There is a journey with this id.')],
      ['/journeys', 'Import', [['Or its text', '{']], 'Import', 'Das ist keine Journey: '],
    ];
    for (const [path, open, fields, send, text] of forms) {
      await at(path);
      await settled();
      await button(open).first().click();
      for (const [name, value] of fields) await field(name, dialog()).fill(value);
      // The browser would refuse some of these in its own words.
      await dialog().locator('form').evaluate((form) => { form.noValidate = true; });
      await button(send, dialog()).click();
      await marked(field(fields.at(-1)[0], dialog()), text, dialog());
    }
    await accessible('a refused dialog');
  });

  await test('settings, branding and providers mark it, too', async () => {
    await at('/operate/settings');
    await field('Tenant name').fill('Mine');
    await instead('/settings', (body) => { body.tenant_name = 'x'.repeat(101); });
    await button('Save').click();
    await marked(field('Tenant name'), 'Das hat höchstens 100 Zeichen.');
    await page.unrouteAll();
    for (const [label, days] of [['Days to keep runs', 'run_retention_days'], ['Days to keep the audit record', 'audit_retention_days']]) {
      await instead('/settings', (body) => { body[days] = 4000; });
      await button('Save').click();
      await marked(page.getByRole('spinbutton', { name: say(label), exact: true }), 'Das darf höchstens 3.650 sein.');
      await page.unrouteAll();
    }
    await accessible('refused settings');
    await at('/apps/demo/branding');
    await field('Colour on dark').fill('#101218');
    await button('Save').click();
    await marked(field('Colour on dark'), 'Die Farbe ist auf dunklem Papier schwer zu lesen: Ihr Kontrast ist 1, nötig sind 4,5.');
    await field('Colour on dark').fill('');
    await instead('/apps/demo/branding', (body) => { body.texts = { ja: { foot: 'x'.repeat(5000) } }; });
    await field('Help').fill('https://help.example/');
    await button('Save').click();
    await page.getByRole('alert').getByText('texts.ja.foot: Ein Text hat höchstens').waitFor();
    await page.getByRole('alert').getByText(say('This was refused.'), { exact: true }).waitFor();
    forget();
    await page.unrouteAll();
    await field('Help').fill('');
    await at('/operate/providers/apns/+');
    await field('Name', dialog()).fill('-x');
    await dialog().locator('form').first().evaluate((form) => { form.noValidate = true; });
    await button('Save', dialog()).click();
    await marked(field('Name', dialog()), say('A provider\'s name has 1 to 64 letters, digits, dots, dashes and underscores.'), dialog());
    await accessible('a refused provider');
    await field('Name', dialog()).fill('');
    await at('/operate/providers/sms_webhook');
    await field('Address', dialog()).fill('https://sms.example/');
    await dialog().getByLabel(new RegExp(`^${say('Secret')}`)).fill('short');
    await button('Save', dialog()).click();
    await marked(dialog().getByLabel(new RegExp(`^${say('Secret')}`)), say('The secret of an SMS gateway needs at least 32 characters.'), dialog());
    await dialog().getByLabel(new RegExp(`^${say('Secret')}`)).fill('');
    await field('Address', dialog()).fill('');
  });
  await test('what happened, and why, is said in English, German and Japanese, and found by words as by name', async () => {
    const visit = await visitor('ada@example.org', 'not this one');
    await visit.pages()[0].getByRole('button', { name: 'Cancel', exact: true }).click();
    await visit.pages()[0].getByText('The sign-in was cancelled.').waitFor();
    await visit.close();
    const run = (await api('GET', '/runs?journey=sign_in&outcome=rejected')).doc.items[0];
    assert.equal(run.reason, 'cancelled');
    const user = (await api('GET', '/users?q=ada')).doc.items[0].id;
    const catalog = (await api('GET', '/catalog')).doc;
    const password = catalog.methods.find((m) => m.kind === 'password').title;
    const rows = page.locator('table[aria-label] tbody tr');
    for (const l of ['en', 'de', 'ja']) {
      await speak(l);
      const text = (said) => (l === 'en' ? said : say(said));
      const words = text('{method}: did not match').replace('{method}', text(password));
      const failed = page.locator('.what', { hasText: words });
      const why = (on) => on.locator('[title=cancelled]').getByText(text('Cancelled'), { exact: true });
      await look(`/ ${l}`, async () => { await at('/'); await failed.first().waitFor(); });
      assert.equal(await failed.first().locator('code').textContent(), 'auth.password.failed');
      await look(`/audit ${l}`, async () => { await at('/audit'); await failed.first().waitFor(); });
      await page.waitForFunction(() => { const cells = [...document.querySelectorAll('table[aria-label] tbody td:nth-child(2)')]; return cells.length > 0 && cells.every((c) => c.querySelector('.what')); }); // each has words
      await why(rows.filter({ hasText: 'journey.rejected' }).first()).waitFor();
      await rows.filter({ hasText: 'journey.rejected' }).first().getByRole('button').click();
      await dialog().locator('dt', { hasText: text('Why') }).locator('+ dd', { hasText: `${text('Cancelled')} cancelled` }).waitFor();
      if (l === 'de') await accessible('/audit entry');
      await at(`/journeys/sign_in/runs/${run.id}`);
      await why(page.locator('.state', { hasText: text('Rejected') })).waitFor();
      await why(page.locator('.events li').last()).waitFor();
      if (l === 'de') await accessible('/runs');
      await look(`/users/timeline ${l}`, async () => { await at(`/users/${user}/timeline`); await failed.first().waitFor(); });
      await at('/audit');
      await settled();
      const filter = page.getByRole('combobox', { name: text('What'), exact: true });
      await page.waitForFunction((words) => [...document.querySelectorAll('#event-types option')].some((o) => o.value === words && o.textContent === 'auth.password.failed'), words);
      for (const typed of [words, words.toLocaleUpperCase(), 'auth.password.failed', 'auth.password.']) {
        const answer = page.waitForResponse((r) => r.url().includes(`type=${typed.includes('.') && typed.startsWith('auth') ? typed : 'auth.password.failed'}`));
        await filter.fill(typed);
        await answer;
        await page.waitForFunction(() => { const all = [...document.querySelectorAll('table tbody tr')]; return all.length > 0 && all.every((r) => r.textContent.includes('auth.password.failed')); });
        await filter.fill('');
        await page.waitForFunction(() => ![...document.querySelectorAll('table tbody tr')].every((r) => r.textContent.includes('auth.password.failed')));
        await page.goto('about:blank'); // nothing that was read is remembered
        await at('/audit');
        await settled();
      }
    }
    await speak('de');
  }, 240);
  await test('problems of a journey, what a try asks, notes of the linter and what support may do are said in German and Japanese', async () => {
    await api('POST', '/journeys', { id: 'broken', name: 'Broken', graph: { id: 'broken', name: 'Broken', kind: 'client', start: 'login', nodes: {
      login: { kind: 'login_form', next: { success: 'code' }, at: [0, 0] }, code: { kind: 'condition', config: { when: { expr: 'login ==' }, nonsense: 1 }, next: { yes: 'done' }, at: [320, 0] },
      done: { kind: 'complete', at: [640, 0] }, alone: { kind: 'reject', at: [640, 200] } } } });
    const found = (await api('GET', '/journeys/broken')).doc.problems;
    assert.ok(found.length > 3, JSON.stringify(found));
    const user = (await api('GET', '/users?q=ada')).doc.items[0].id;
    const acts = (await api('GET', `/users/${user}/actions?app=demo`)).doc.items;
    const asked = { de: { title: 'Anmelden', field: 'E-Mail-Adresse', cancel: 'Abbrechen' }, ja: { title: 'ログイン', field: 'メールアドレス', cancel: 'キャンセル' } }; // as on the page that people see
    assert.ok(acts.length > 3);
    for (const [l, expected] of [['de', [/^✕ Der Ausdruck endet zu früh\.$/, /^✕ Der Ausgang „\w+“ führt nirgendwohin\.$/, /^✕ Es gibt kein Feld „nonsense“\.$/]], ['ja', [/^✕ 式が途中で終わっています。$/, /^✕ 結果「\w+」の行き先がありません。$/, /^✕ フィールド「nonsense」はありません。$/]]]) {
      await speak(l);
      const editor = () => at('/journeys/broken').then(() => page.getByRole('button', { name: /^⚠/ }).waitFor());
      await look(`/journeys/broken ${l}`, editor);
      await editor();
      await heard(l);
      await page.getByRole('button', { name: /^⚠/ }).click();
      await dialog().locator('.problems > li > span').nth(found.length - 1).waitFor();
      const said = await dialog().locator('.problems > li > span').allTextContents();
      for (const pattern of expected) assert.ok(said.some((text) => pattern.test(text)), `${l}: ${said.join(' | ')} has no ${pattern}`);
      for (const p of found) assert.ok(!said.some((text) => text.endsWith(p.text)), `${l}: ${p.text}`);
      await look(`/journeys/broken problems ${l}`, async () => { await editor(); await page.getByRole('button', { name: /^⚠/ }).click(); });
      await at('/journeys');
      await page.locator('.sees li', { hasText: say('Is the password right?') }).first().waitFor();
      // A template is laid down in the language of whoever draws.
      const template = (await api('GET', '/journeys/templates')).doc.items.find((x) => x.id === 'web_login');
      await page.locator('.card').filter({ has: page.getByRole('heading', { name: say(template.name), exact: true }) }).getByRole('button', { name: say('Use'), exact: true }).click();
      await field('Id', dialog()).fill(`laid_${l}`);
      await button('Create', dialog()).click();
      await page.locator('.react-flow__node').getByText(say('Who signs in?'), { exact: true }).waitFor();
      const { graph } = (await api('GET', `/journeys/laid_${l}`)).doc.draft;
      for (const [id, n] of Object.entries(template.graph.nodes)) assert.deepEqual(graph.nodes[id], { ...n, label: say(n.label) }, id);
      assert.equal(graph.start, template.graph.start);
      await at('/journeys/web_login/try');
      await button('Start').click();
      const phone = page.frameLocator('iframe.phoneframe');
      await phone.getByText(app[l]['request.inq']).or(phone.getByRole('heading', { name: app[l]['add.go'] })).waitFor(); // in the words of the phone app
      await phone.locator('legend', { hasText: { de: 'Die nächste Anfrage', ja: '次のリクエスト' }[l] }).waitFor();
      const foreign = await phone.locator('.phone-side').evaluate((side) => side.innerText.match(/[A-Z][a-z]+ (up|this|phone|request|number|answer|address)/g));
      assert.equal(foreign, null, String(foreign));
      await page.locator('.tryout form').getByText(asked[l].field).first().waitFor();
      await page.getByRole('heading', { name: asked[l].title, exact: true }).waitFor();
      if (l === 'de') await accessible('/journeys/web_login/try');
      for (const [other, title] of [['English', 'Sign in'], [{ de: 'Deutsch', ja: '日本語' }[l], asked[l].title]]) { // and at once in another
        await page.getByRole('button', { name: /^Owner/ }).click();
        await page.getByRole('menuitem', { name: other }).click();
        await page.getByRole('heading', { name: title, exact: true }).waitFor();
      }
      await page.locator('.tryout').getByRole('button', { name: asked[l].cancel, exact: true }).click();
      await page.getByRole('heading', { name: say('It ended'), exact: true }).waitFor();
      await at('/audit');
      await page.locator('table[aria-label] tbody tr', { hasText: 'journey.rejected' }).first().getByRole('button').click();
      await dialog().locator('dt', { hasText: say('Version') }).locator('+ dd', { hasText: say('The draft, as it was tried') }).waitFor();
      assert.ok(!/-\d{6}/.test(await dialog().textContent()), 'a version is below zero');
      if (l === 'de') await accessible('/audit a try');
      for (const kind of ['password', 'push']) {
        const notes = (await api('GET', `/apps/demo/methods/${kind}`)).doc.lint;
        assert.ok(notes.length > 0);
        await look(`/apps/demo/methods/${kind} ${l}`, async () => { await at(`/apps/demo/methods/${kind}`); await dialog().locator('.lint').first().waitFor(); });
        for (const n of notes) await dialog().getByText(say(n.text)).first().waitFor();
      }
      const locks = (await api('GET', `/users/${user}/authenticators?app=demo`)).doc.items;
      for (const a of locks) assert.ok((await api('POST', `/users/${user}/authenticators/${a.id}/lock?app=demo`, { reason: 'spec' })).status < 500);
      await look(`/users/ada ${l}`, () => at(`/users/${user}`));
      const help = () => at(`/users/${user}/help`);
      await look(`/users/ada help ${l}`, help);
      for (const a of acts) await page.getByText(say(a.text)).waitFor();
    }
  }, 240);
  await speak('en');
});
