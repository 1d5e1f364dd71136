// The console's pages at work: organisations and who belongs to them, webhooks and
// what they were told, branding beside its page, what is not saved, what can be
// taken back after publishing, and counts in every language.
// See console.mjs for what it needs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { accessible, api, askedToClose, at, complained, context, enter, evil, forget, here, look, page, person, press, quiet, saved, settled, shots, spec, test, visitor, w } from './console.mjs';

const dialog = () => page.getByRole('dialog');
const question = () => page.getByRole('alertdialog');
const answer = (name) => question().getByRole('button', { name, exact: true }).click();
const gone = async (what) => { await what.waitFor({ state: 'detached' }); };
const said = (text) => page.locator('.toast', { hasText: text }).waitFor();

/** A picture, as PNG. */
const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAhKDveksOjmAAAAAElFTkSuQmCC', 'base64');

await spec(async () => {
  await enter();
  await test('organisations: one is added, changed, looked at; members come and go', async () => {
    await api('POST', '/apps', { id: 'partners', name: 'Partners', audience: 'b2b' });
    for (const email of ['wile@acme.example', 'road@runner.example']) assert.equal((await api('POST', '/users', { email })).status, 200);
    await look('/apps/partners/organisations');
    await press('Add an organisation');
    await dialog().getByLabel(/^Name/).fill(`ACME ${evil}`);
    await dialog().getByLabel('Domains').fill('acme.example acme.test');
    await dialog().getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: `ACME ${evil}` }).waitFor();
    await page.getByText('Nobody belongs to it yet').waitFor();
    const org = here();
    await look(org);
    await press('Add a member');
    await dialog().getByRole('searchbox', { name: 'Search' }).fill('wil');
    await dialog().getByLabel('Role').selectOption('admin');
    await dialog().getByRole('button', { name: 'Add wile@acme.example' }).click();
    await said('wile@acme.example is a member now.');
    await accessible('dialog: add a member');
    await dialog().getByRole('searchbox', { name: 'Search' }).fill('nobody at all');
    await dialog().getByText('No user of this name').waitFor();
    await press('Done');
    const role = page.getByLabel('Role of wile@acme.example');
    assert.equal(await role.inputValue(), 'admin');
    await role.selectOption('member');
    await said('Changed.');
    assert.equal((await api('GET', `${org}/members`)).doc.items[0].role, 'member');
    await look(org);
    await press('Change');
    await dialog().getByLabel(/^Name/).fill('ACME');
    await dialog().getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { level: 1, name: 'ACME', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Remove wile@acme.example' }).click();
    await answer('Remove');
    await page.getByText('Nobody belongs to it yet').waitFor();
    await look('/apps/partners/organisations');
    await at(org);
    await press('Delete');
    await question().getByText('Nobody belongs to it.').waitFor();
    await answer('Delete');
    await page.getByText('No organisation yet').waitFor();
  }, 240);

  await test('webhooks: what one was told, told again, and when it is tried next', async () => {
    await at('/operate/webhooks');
    await press('Add a webhook');
    await dialog().getByLabel(/^Address/).fill('https://127.0.0.1:9/hook');
    await dialog().getByRole('button', { name: 'admin.*', exact: true }).click();
    assert.equal(await dialog().getByLabel(/^Events/).inputValue(), 'admin.*');
    await accessible('dialog: add a webhook');
    await dialog().getByLabel(/^Events/).fill('admin.app.*');
    await dialog().getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByText('It is shown this once').waitFor();
    await page.getByRole('link', { name: 'https://127.0.0.1:9/hook' }).click();
    await page.getByText('Nothing was sent yet').waitFor();
    const hook = here();
    await press('Send a test');
    await page.locator('.note.no', { hasText: 'no answer' }).waitFor();
    await page.getByRole('row').filter({ hasText: 'webhook.test' }).getByText('Given up').waitFor();
    await api('POST', '/apps', { id: 'told', name: 'Told', audience: 'b2c' });
    const row = page.getByRole('row').filter({ hasText: 'admin.app.created' });
    await row.getByText('Retrying').waitFor({ timeout: 30_000 });
    await row.getByText(/^in \d+ seconds?$|^now$/).waitFor();
    await look(hook);
    await page.getByLabel('State', { exact: true }).selectOption('told');
    await page.getByText('No delivery fits').waitFor();
    await press('Show all');
    await row.getByRole('button').click();
    await dialog().getByRole('heading', { name: 'Application added' }).waitFor();
    const attempts = dialog().getByRole('list', { name: 'Attempts' }).getByRole('listitem');
    const before = await attempts.count();
    await dialog().getByRole('button', { name: 'Send again' }).click();
    await dialog().locator('.note.no').waitFor();
    await page.waitForFunction((n) => document.querySelectorAll('[role=dialog] ol li').length > n, before);
    await accessible('drawer: a delivery');
    await page.keyboard.press('Escape');
    await gone(dialog());
    await press('Switch off');
    await said('Off: nothing is sent any more.');
    await press('Delete');
    await answer('Delete');
    await page.getByText('No webhook yet').waitFor();
  }, 240);

  await test('branding: texts, links and logos, shown before they are stored', async () => {
    await at('/apps/demo/branding');
    const frame = page.frameLocator('iframe.preview');
    await frame.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.getByLabel('Welcome').fill(`Freshly roasted ${evil}`);
    await frame.getByText(`Freshly roasted ${evil}`).waitFor();
    await page.getByLabel('Colour on light').last().fill('#5a1a8a');
    await page.waitForFunction(() => { const b = document.querySelector('iframe.preview').contentDocument?.querySelector('button'); return b && getComputedStyle(b).backgroundColor === 'rgb(90, 26, 138)'; });
    await page.getByLabel('Terms').fill('https://northwind.example/terms');
    await frame.getByRole('link', { name: 'Terms' }).waitFor();
    await page.locator('.brand-grid form').getByLabel('Language').selectOption('de');
    await page.getByLabel('Welcome').fill('Frisch geröstet');
    await frame.getByText('Frisch geröstet').waitFor();
    assert.equal((await api('GET', '/apps/demo/branding')).doc.terms, '', 'nothing is stored yet');
    assert.ok(await page.getByLabel('Logo', { exact: true }).isDisabled(), 'a logo while something is not stored');
    await press('Save');
    await said('Saved.');
    const stored = (await api('GET', '/apps/demo/branding')).doc;
    assert.deepEqual([stored.texts.de.welcome, stored.texts.en.welcome, stored.terms, stored.signal], ['Frisch geröstet', `Freshly roasted ${evil}`, 'https://northwind.example/terms', '#5a1a8a']);
    for (const [name, box] of [['Logo', '.on-light'], ['Logo on dark', '.on-dark']]) {
      await page.getByLabel(name, { exact: true }).setInputFiles({ name: 'logo.png', mimeType: 'image/png', buffer: picture });
      await page.waitForFunction((box) => document.querySelector(`${box} img`)?.naturalWidth === 10, box);
    }
    await page.emulateMedia({ colorScheme: null }); // which would decide for the frame
    await page.getByLabel('Paper').selectOption('dark');
    await page.waitForFunction(() => { const d = document.querySelector('iframe.preview').contentDocument; return d.readyState === 'complete' && d.defaultView.matchMedia('(prefers-color-scheme: dark)').matches && /logo-dark/.test(d.querySelector('.logo')?.currentSrc ?? ''); });
    await look('/apps/demo/branding');
    await page.getByRole('button', { name: 'Remove: Logo on dark' }).click();
    await gone(page.locator('.on-dark'));
    await page.getByLabel('Terms').fill('http://northwind.example/terms');
    await press('Save');
    await page.getByText('is an https address').waitFor();
    assert.ok(complained().every((c) => c.includes('400')), complained().join('\n'));
    forget(); // the browser tells of the 400 that was asked for
    await press('Take back');
    assert.equal(await page.getByLabel('Terms').inputValue(), 'https://northwind.example/terms');
  }, 240);

  // Each form with a place where it stands and a change in it; each is left by a
  // link, by a step back and by closing the page.
  const forms = {
    client: ['/apps/demo/clients/demo-web', async (v) => dialog().getByLabel('Name', { exact: true }).fill(v), 'Demo shop'],
    provider: ['/operate/providers/smtp/main', async (v) => dialog().getByLabel(/host|server/i).first().fill(v), 'mail.example.org'],
    branding: ['/apps/demo/branding', async (v) => page.getByLabel('Footer').fill(v), ''],
    settings: ['/operate/settings', async (v) => page.getByLabel(/^Tenant name/).fill(v), ''],
    method: ['/apps/demo/methods/totp', async (v) => dialog().locator('form input[type=number]').first().fill(v), ''],
  };
  await api('PUT', '/providers/smtp/main', { config: { host: 'mail.example.org', from: 'x@example.org' } });
  for (const [name, [path, change]] of Object.entries(forms)) {
    await test(`what is not saved is not lost: ${name}`, async () => {
      const drawn = ['client', 'provider', 'method'].includes(name);
      await at('/audit');
      await settled();
      const go = async () => {
        // From another place by a link, so that there is a place to go back to.
        await page.evaluate((to) => { history.pushState({ at: Number(history.state?.at ?? 0) + 1 }, '', to); dispatchEvent(new PopStateEvent('popstate', { state: history.state })); }, `/console${path}`);
        await settled();
        if (drawn) await dialog().waitFor();
        await page.locator('.form').first().waitFor();
      };
      const leave = async () => { if (drawn) await page.keyboard.press('Escape'); else await page.getByRole('link', { name: 'Users', exact: true }).click(); };
      await go();
      await leave(); // nothing was changed: nothing is asked
      await page.waitForFunction((path) => location.pathname !== `/console${path}`, path);
      assert.equal(await question().count(), 0, 'asked about nothing');
      await at('/audit');
      await settled();
      await go();
      const field = name === 'method' ? '7' : 'changed';
      await change(field);
      await leave();
      await question().waitFor();
      await accessible(`question: ${name}`);
      assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Stay', 'the harmless answer has the focus');
      await page.keyboard.press('Enter');
      await gone(question());
      assert.equal(here(), path);
      await page.goBack();
      await question().waitFor();
      await answer('Stay');
      await gone(question());
      await page.waitForFunction((path) => location.pathname === `/console${path}`, path); // still here after going back
      askedToClose();
      await page.evaluate(() => { window.kept = true; });
      await page.reload();
      assert.equal(askedToClose(), 1, 'closing the page asks');
      await settled();
      await at('/audit');
      await settled();
      await go();
      await change(field);
      await page.goBack();
      await answer('Leave');
      await page.waitForFunction(() => location.pathname === '/console/audit');
      await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
      assert.equal(await dialog().count(), 0);
    });
  }

  // What adds something: how its dialog is opened, what is typed, and how it is sent.
  const ada = (await api('GET', '/users?q=ada')).doc.items[0].id;
  const adding = {
    user: ['/users', 'Add a user', 'Username', 'typed'], client: ['/apps/demo/clients', 'Add a client', 'Name *', 'typed'], application: ['/apps', 'Add an application', 'Name *', 'typed'],
    organisation: ['/apps/partners/organisations', 'Add an organisation', 'Name *', 'typed'], webhook: ['/operate/webhooks', 'Add a webhook', 'Address *', 'https://typed.example/'], administrator: ['/operate/administrators', 'Invite an administrator', 'Name *', 'typed'],
    name: [`/users/${ada}`, 'Add a name', 'Name *', 'typed@example.org'], attributes: [`/users/${ada}`, 'Attributes', 'JSON', '{"typed": 1}'],
    journey: ['/journeys', 'New journey', 'Name *', 'typed'], import: ['/journeys', 'Import', 'Or its text', 'typed'],
  };
  await api('POST', '/apps', { id: 'partners', name: 'Partners', audience: 'b2b' }); // if no test before has
  const kind = (await api('GET', '/catalog')).doc.providers.find((k) => k.several);
  adding.provider = ['/operate/providers', `Set up: ${kind.title}`, 'Name *', 'typed'];
  for (const [name, [path, open, label, value]] of Object.entries(adding)) {
    await test(`what was typed into a dialog is not lost: ${name}`, async () => {
      await at(path);
      await settled();
      const show = async () => { await page.getByRole('button', { name: open, exact: true }).first().click(); await dialog().waitFor(); };
      const field = () => dialog().getByLabel(label, { exact: true });
      await show();
      await page.keyboard.press('Escape'); // nothing was typed: nothing is asked
      await gone(dialog());
      await show();
      const first = await field().inputValue();
      for (const close of [() => page.keyboard.press('Escape'), () => page.mouse.click(5, 5), () => dialog().getByRole('button', { name: 'Close' }).click()]) {
        await field().fill(value);
        await close();
        await question().waitFor();
        await answer('Stay');
        await gone(question());
        assert.equal(await field().inputValue(), value);
      }
      await page.keyboard.press('Escape');
      await answer('Leave');
      await gone(dialog());
      await show();
      assert.equal(await field().inputValue(), first, 'what was given up is gone');
      await page.keyboard.press('Escape');
      await gone(dialog());
    });
  }
  await test('what is added is not asked about', async () => {
    await at('/users');
    await settled();
    await press('Add a user');
    await dialog().getByLabel('Username', { exact: true }).fill('quickly_added');
    await dialog().getByRole('button', { name: 'Add' }).click();
    await page.getByRole('heading', { level: 1, name: 'quickly_added' }).waitFor();
    await press('Add a name');
    await dialog().getByLabel('Name *', { exact: true }).fill('quickly@example.org');
    await dialog().getByRole('button', { name: 'Add' }).click();
    await gone(dialog());
    await page.getByText('quickly@example.org').first().waitFor();
    await at('/operate/webhooks');
    await settled();
    await page.getByRole('button', { name: 'Add a webhook' }).first().click();
    await dialog().getByLabel('Address *', { exact: true }).fill('https://quickly.example/');
    await dialog().getByRole('button', { name: 'Add' }).click();
    await gone(dialog());
    assert.equal(await question().count(), 0);
    await page.getByRole('link', { name: 'Users', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor();
  });

  await test('what is drawn can be taken back after publishing, and after another tab', async () => {
    const { doc } = await api('GET', '/journeys/web_login');
    assert.equal((await api('POST', '/journeys', { id: 'back', name: 'Back', graph: { ...doc.draft.graph, id: 'back' } })).status, 200);
    await at('/journeys/back');
    await page.getByText('No problems').waitFor();
    const name = page.getByLabel('Name', { exact: true });
    const rename = async (to) => { await name.fill(to); await page.locator('h1').click(); await saved(); };
    const publish = async (version) => {
      await press('Publish');
      await dialog().getByLabel('What changed').fill(`version ${version}`);
      await dialog().getByRole('button', { name: 'Publish' }).click();
      await page.locator('.head .state', { hasText: `Version ${version}` }).waitFor();
      await gone(dialog());
    };
    await rename('One');
    const offers = (is) => page.waitForFunction((is) => !document.querySelector('.goes .primary').disabled === is, is);
    await publish(1);
    await offers(false); // what is drawn is published
    await rename('Two');
    await page.locator('.head .state', { hasText: 'Version 1 · changed' }).waitFor();
    await offers(true);
    await publish(2);
    await page.locator('.head .state', { hasText: /^✓ Version 2$/ }).waitFor();
    await page.locator('h1').focus();
    await page.keyboard.press('Control+z');
    await page.waitForFunction(() => document.querySelector('.inspector input').value === 'One');
    await page.waitForFunction(() => document.querySelector('.saving').textContent === 'Saved');
    assert.equal((await api('GET', '/journeys/back')).doc.draft.graph.name, 'One', 'the draft is taken back');
    assert.equal((await api('GET', '/journeys/back/versions/2')).doc.graph.name, 'Two', 'the version is what it was');
    await page.getByRole('link', { name: 'Versions', exact: true }).click();
    await page.getByRole('button', { name: '2', exact: true }).click();
    await press('Make it the draft');
    await answer('Restore');
    await said('It is the draft now.');
    await page.getByRole('link', { name: 'Draw', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('.inspector input')?.value === 'Two');
    await page.locator('h1').focus();
    for (const want of ['One', 'Back']) {
      await page.keyboard.press('Control+z');
      await page.waitForFunction((want) => document.querySelector('.inspector input').value === want, want);
    }
    await page.waitForFunction(() => document.querySelector('.saving').textContent === 'Saved');
    quiet('undo');
  });

  await test('a journey is tried with the phone and the inbox beside it', async () => {
    await at('/journeys/web_login/try');
    const phone = page.frameLocator('iframe.phoneframe');
    await phone.locator('#phone-email').fill('trial@example.org');
    await phone.getByRole('button', { name: 'Set up' }).click();
    await phone.getByRole('button', { name: 'Use another address' }).waitFor();
    assert.equal(await phone.locator('.shop').isVisible(), false, 'only the phone is shown');
    await press('Start');
    const way = page.locator('.tryout form').filter({ has: page.getByRole('button', { name: /phone|mobile/i }) }).first();
    await way.getByRole('textbox').first().fill('trial@example.org');
    await way.getByRole('button', { name: /phone|mobile/i }).click();
    const number = await page.locator('.tryout .figure').first().textContent();
    assert.match(number, /^\d\d$/);
    await page.locator('.react-flow__edge-path.lit').first().waitFor({ state: 'attached' });
    await phone.locator('#phone-number').fill(number);
    await phone.getByRole('button', { name: 'Approve' }).click();
    await page.getByText('was authenticated', { exact: false }).waitFor({ timeout: 30_000 });
    await page.getByRole('list', { name: 'What happened' }).getByText('left: success').first().waitFor();
    await page.getByRole('combobox', { name: 'Show beside it' }).selectOption('inbox');
    await page.getByRole('list', { name: 'Captured mail' }).getByText('push', { exact: false }).first().waitFor();
    await accessible('try, with the inbox');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `scrolls sideways by ${wide}`);
  });

  await test('an expression is completed while it is typed, by keys and by mouse', async () => {
    const graph = (await api('GET', '/journeys/web_login')).doc.draft.graph;
    assert.equal((await api('POST', '/journeys', { id: 'completed', name: 'Completed', graph: { ...graph, id: 'completed' } })).status, 200);
    await at('/journeys/completed');
    await page.locator('.react-flow__node', { hasText: 'Approve on the phone' }).click();
    const box = page.locator('.inspector').getByLabel('User', { exact: true });
    const hints = page.getByRole('listbox', { name: 'Suggest' });
    await box.fill('');
    await box.pressSequentially('size(log');
    await hints.getByRole('option', { name: 'login', exact: false }).first().waitFor();
    await page.keyboard.press('Enter');
    assert.equal(await box.inputValue(), 'size(login');
    await page.keyboard.type('.');
    await hints.getByRole('option').nth(1).waitFor();
    assert.equal(await box.getAttribute('aria-activedescendant'), await hints.getByRole('option', { selected: true }).getAttribute('id'));
    await accessible('expression: what is suggested');
    await page.keyboard.press('ArrowDown');
    const second = await hints.getByRole('option').nth(1).locator('code').textContent();
    assert.equal(await hints.getByRole('option', { selected: true }).locator('code').textContent(), second);
    await page.keyboard.press('Escape');
    await gone(hints);
    assert.equal(await page.locator('.inspector h2').textContent(), 'Approve on the phone', 'Escape closes the list alone');
    await page.keyboard.press('Control+Space');
    await hints.getByText('email', { exact: true }).click();
    assert.equal(await box.inputValue(), 'size(login.email');
    await page.keyboard.type(') ?? ""');
    assert.equal(await box.inputValue(), 'size(login.email) ?? ""', 'the cursor stands behind what was taken');
    await saved();
    quiet('completed');
  });

  await test('the locks that are set are drawn before anybody fails, and marked when they come', async () => {
    await at('/methods/totp');
    await settled();
    const ladder = dialog().getByRole('list', { name: 'Locks' });
    const rungs = async (want) => {
      await ladder.getByRole('listitem').nth(want.length - 1).waitFor();
      await ladder.getByRole('listitem').nth(want.length).waitFor({ state: 'detached' });
      assert.deepEqual((await ladder.getByRole('listitem').allInnerTexts()).map((s) => s.replace(/\s+/g, ' ')), want);
    };
    await rungs(['1 min after 5 failures', '15 min after 8 failures', '1 hr after 10 failures', 'for good after 11 failures']);
    for (let i = 0; i < 5; i++) await dialog().getByRole('button', { name: 'Fail again' }).click();
    await dialog().getByText('Locked for', { exact: false }).waitFor();
    assert.match(await ladder.locator('[aria-current]').innerText(), /^1 min/);
    await accessible('locks');
    // The engine agrees with the last rung.
    for (let i = 0; i < 6; i++) {
      await dialog().getByRole('button', { name: 'Wait it out and fail' }).or(dialog().getByRole('button', { name: 'Fail again' })).last().click();
      await page.waitForFunction((n) => document.querySelectorAll('.sim .tick').length === n, 6 + i);
    }
    await dialog().getByText('Locked for good', { exact: false }).waitFor();
    assert.match(await ladder.locator('[aria-current]').innerText(), /^for good/);
    await dialog().getByLabel('One lockout only').click();
    await rungs(['1 min after 5 failures', 'for good after 100 failures']);
    await page.keyboard.press('Escape');
    await answer('Leave');
    await gone(dialog());
  });

  await test('runs are found by who and where, entries by a name; both say from where', async () => {
    const other = await visitor('ada@example.org', 'not this one');
    await at('/journeys/sign_in/runs');
    await settled();
    await page.getByLabel('Outcome').selectOption('open');
    const rows = page.getByRole('table', { name: 'Runs' }).getByRole('row');
    await page.waitForFunction(() => document.querySelectorAll('table[aria-label=Runs] tbody tr').length === 1);
    await accessible('runs');
    await page.getByLabel('Where').selectOption({ label: 'Cancelled' });
    await page.getByText('No run fits').waitFor();
    await page.getByLabel('Where').selectOption('');
    await page.getByRole('searchbox', { name: 'Who' }).fill('nobody@example.org');
    await page.getByText('No run fits').waitFor();
    await page.getByRole('searchbox', { name: 'Who' }).fill('');
    await rows.nth(1).waitFor();
    await at('/audit');
    await settled();
    await page.getByLabel('To', { exact: true }).fill('ada@example.org');
    await page.getByLabel('What').fill('auth.password.failed');
    const entry = page.getByRole('table', { name: 'Events' }).getByRole('row').nth(1);
    await page.waitForFunction(() => { const r = document.querySelectorAll('table[aria-label=Events] tbody tr'); return r.length > 0 && [...r].every((x) => x.textContent.includes('auth.password.failed')); });
    assert.match(await entry.innerText(), /127\.0\.0\.1/);
    await entry.getByRole('button').click();
    await dialog().getByRole('link', { name: /^run_/ }).click();
    await page.getByRole('button', { name: 'All runs' }).waitFor();
    assert.match(here(), /^\/journeys\/sign_in\/runs\/run_\w+$/);
    await page.getByRole('list', { name: 'What happened' }).getByText('Is the password right?', { exact: true }).first().waitFor();
    await press('All runs');
    await page.getByRole('table', { name: 'Runs' }).getByRole('button').first().click();
    await page.getByText(/^Run of /).waitFor();
    await page.goBack();
    await page.getByRole('table', { name: 'Runs' }).waitFor();
    await at('/audit');
    await settled();
    await page.getByLabel('What').fill('auth.');
    await page.getByLabel('Application').selectOption('partners');
    await page.getByText('No entry fits').waitFor();
    await page.getByLabel('Application').selectOption('demo');
    await page.waitForFunction(() => { const r = document.querySelectorAll('table[aria-label=Events] tbody tr'); return r.length > 0 && [...r].every((x) => x.textContent.includes('auth.')); });
    await page.getByLabel('To', { exact: true }).fill('nobody@example.org');
    await page.getByText('No entry fits').waitFor();
    await other.close();
    quiet('filters');
  });

  await test('one is one and two are two, in every language', async () => {
    const want = { en: ['Open: 1 failure counts.', 'Open: 2 failures count.'], de: ['Offen: 1 Fehlversuch zählt.', 'Offen: 2 Fehlversuche zählen.'], es: ['Abierto: cuenta 1 fallo.', 'Abierto: cuentan 2 fallos.'], fr: ['Ouvert : 1 échec compte.', 'Ouvert : 2 échecs comptent.'], pt: ['Aberto: conta 1 falha.', 'Aberto: contam 2 falhas.'], ja: ['利用可能: 失敗 1 回を計上中。', '利用可能: 失敗 2 回を計上中。'] };
    for (const [language, texts] of Object.entries(want)) {
      await page.evaluate((l) => localStorage.setItem('watchword.language', l), language);
      await at('/methods/totp');
      await dialog().locator('.card .btn.primary').waitFor();
      for (const text of texts) {
        await dialog().locator('.card .btn.primary').first().click();
        await dialog().getByText(text).waitFor();
      }
      for (const path of ['/', '/operate/settings', '/journeys/web_login/runs', '/apps/demo/branding']) {
        await at(path);
        await settled();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${path} in ${language} scrolls sideways by ${wide}`);
      }
    }
    await page.evaluate(() => localStorage.removeItem('watchword.language'));
  });

  await test('methods and steps speak the language of the reader, and are found by it and by English', async () => {
    for (const language of ['de', 'es', 'fr', 'pt', 'ja']) {
      const words = JSON.parse(readFileSync(new URL(`../../ui/console/src/words/catalog/${language}.json`, import.meta.url), 'utf8'));
      const { steps, methods } = (await api('GET', '/catalog')).doc;
      const form = methods.find((m) => m.kind === 'totp').form;
      await page.evaluate((l) => localStorage.setItem('watchword.language', l), language);
      await at('/methods/totp');
      await dialog().locator('.card .btn.primary').waitFor();
      for (const f of form.slice(0, 5)) await dialog().getByText(words[f.label], { exact: true }).first().waitFor();
      const signing = form.find((f) => f.name === 'signing'); // known by its name, too
      for (const { value, label } of signing.says) await dialog().getByRole('combobox', { name: new RegExp(words[signing.label]) }).locator('option', { hasText: `${words[label]} (${value})` }).waitFor({ state: 'attached' });
      await page.evaluate(() => localStorage.setItem('watchword.palette', 'open'));
      await at('/journeys/web_login');
      const palette = page.locator('.palette');
      await palette.waitFor();
      const step = steps.find((s) => s.kind === 'totp.authenticate');
      for (const typed of [words[step.title], step.title]) {
        await palette.getByRole('searchbox').fill(typed);
        assert.ok((await palette.locator('.pal').first().textContent()).startsWith(words[step.title]), `${language}: ${typed}`);
      }
    }
    await page.evaluate(() => localStorage.removeItem('watchword.language'));
  });

  await test('Ctrl K goes to places, applications, journeys and users', async () => {
    await at('/');
    await settled();
    for (const [typed, heading] of [['meth', 'Methods'], ['north', 'Northwind Coffee'], ['web_login', 'Web login with push'], ['ada@', 'ada@example.org']]) {
      await page.keyboard.press('Control+k');
      await dialog().getByRole('combobox').fill(typed);
      await dialog().getByRole('option').first().waitFor();
      if (typed === 'meth') await accessible('dialog: go to');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    }
  });

  await test('support helps somebody from a phone: found by Enter, unlocked, given a phone, asked what happened', async () => {
    const { doc: { items: [ada] } } = await api('GET', '/users?q=ada@example.org');
    const { doc: { items } } = await api('GET', `/users/${ada.id}/authenticators?app=demo`);
    const password = items.find((a) => a.kind === 'password');
    assert.equal((await api('POST', `/users/${ada.id}/authenticators/${password.id}/lock?app=demo`, { reason: 'asked for' })).status, 204);
    const { doc: { link } } = await api('POST', '/administrators', { name: 'Hanna', email: 'hanna@example.org', role: 'helpdesk' });
    const { context, page: agent } = await person();
    await agent.setViewportSize({ width: 390, height: 844 });
    await agent.goto(link);
    await agent.getByLabel('Search').fill('ada@'); // at home already
    await agent.locator('main').getByRole('link', { name: 'ada@example.org' }).waitFor();
    assert.equal(await agent.getByText('For your page').count(), 0, 'code for who builds no pages');
    await agent.getByRole('link', { name: 'Users', exact: true }).click();
    await agent.getByRole('heading', { level: 1, name: 'Users' }).waitFor();
    await agent.getByLabel('Search').fill('ada@');
    await agent.keyboard.press('Enter');
    await agent.waitForURL(`**/users/${ada.id}`);
    await agent.getByRole('button', { name: 'Change: ada', exact: true }).click(); // a name that was mistyped
    await agent.getByRole('menuitem', { name: 'Change', exact: true }).click();
    await agent.getByRole('dialog').getByLabel('Username').fill('ada.l');
    await agent.getByRole('dialog').getByRole('button', { name: 'Change', exact: true }).click();
    await agent.getByRole('button', { name: 'Change: ada.l', exact: true }).waitFor();
    assert.equal((await api('PUT', `/users/${ada.id}/identifiers/username/ada.l`, { value: 'ada' })).status, 200);
    const row = agent.getByRole('row').filter({ hasText: 'Password' });
    await row.getByText('Locked by a person').waitFor();
    const button = row.getByRole('button', { name: /^Change: Password/ });
    const { x, width } = await button.boundingBox();
    assert.ok(x >= 0 && x + width <= 390, `what can be done is in sight: ${x} to ${x + width}`);
    await button.click();
    await agent.getByRole('menuitem', { name: 'Unlock' }).click();
    await row.getByText('Active').waitFor();

    await agent.getByRole('tab', { name: 'Help' }).click();
    await agent.getByRole('heading', { name: 'Delete this user' }).waitFor(); // which this role may not: it says who may
    await agent.getByRole('button', { name: 'Add a phone', exact: true }).click();
    const asked = agent.getByRole('dialog');
    await asked.getByText('Whoever opens it first has that phone.').waitFor();
    await asked.getByRole('button', { name: 'Add a phone', exact: true }).click();
    const picture = asked.getByRole('img', { name: 'The same as a QR code' });
    await picture.waitFor();
    await agent.waitForFunction((e) => e.complete && e.naturalWidth > 0, await picture.elementHandle());
    await asked.getByRole('button', { name: 'Done', exact: true }).click();

    await agent.getByRole('tab', { name: 'Timeline' }).click();
    assert.ok((await agent.locator('.tab[data-state=active]').boundingBox()).x < 390, 'the tab that is open is in sight');
    await agent.getByLabel('What', { exact: true }).selectOption('admin.');
    await agent.waitForFunction(() => { const rows = [...document.querySelectorAll('tbody tr')].map((e) => e.textContent); return rows.length > 1 && rows.every((text) => text.includes('admin.')); });
    assert.match(await agent.locator('tbody tr').first().textContent(), /127\.0\.0\.1 Chrome on Linux/);
    await context.close();
  });

  // What is drawn only to be looked at: each was opened by a test that asserts something of it.
  if (shots) await test('every drawer, dialog and menu that no other test has drawn', async () => {
    const menu = () => page.getByRole('menu');
    const shut = async (what = dialog()) => { await page.keyboard.press('Escape'); await gone(what); };
    /** What a button opens. */
    const opened = async (path, name, button, what = dialog()) => {
      await at(path);
      await settled();
      await button().click();
      await what.waitFor();
      await accessible(name);
      await shut(what);
    };
    const named = (name) => () => page.getByRole('button', { name, exact: true }).first();
    const ada = (await api('GET', '/users?q=ada')).doc.items[0].id;
    await opened('/apps', 'dialog: add an application', named('Add an application'));
    await opened('/apps/demo', 'dialog: rename', named('Rename'));
    await opened('/apps/demo', 'question: delete an application', named('Delete'), question());
    await opened('/apps/demo/clients', 'dialog: add a client', named('Add a client'));
    for (const { id } of (await api('GET', '/apps/demo/clients')).doc.items) { await at(`/apps/demo/clients/${id}`); await dialog().locator('.form').first().waitFor(); await accessible(`drawer: client ${id}`); }
    for (const { kind } of (await api('GET', '/catalog')).doc.methods) { await at(`/apps/demo/methods/${kind}`); await dialog().locator('.card .btn, .form').first().waitFor(); await accessible(`drawer: method ${kind}`); }
    for (const kind of (await api('GET', '/catalog')).doc.providers) { await at(`/operate/providers/${kind.kind}/default`); await dialog().locator('.form').first().waitFor(); await accessible(`drawer: provider ${kind.kind}`); }
    await opened('/users', 'dialog: add a user', named('Add a user'));
    await opened(`/users/${ada}`, 'menu: a name', () => page.getByRole('button', { name: /^Change: / }).first(), menu());
    await opened(`/users/${ada}`, 'dialog: add a name', named('Add a name'));
    await opened(`/users/${ada}`, 'dialog: attributes', named('Attributes'));
    await at(`/users/${ada}/help`);
    await page.locator('.grid .card .btn').first().waitFor();
    await accessible('/users/help of an application');
    await page.locator('.grid .card .btn').first().click();
    await accessible('dialog: help');
    await at(`/users/${ada}/authenticators`);
    await page.getByRole('row').filter({ hasText: 'Password' }).getByRole('button', { name: 'Change' }).click();
    await menu().waitFor();
    await accessible('menu: an authenticator');
    await at('/audit');
    await page.getByRole('row').nth(1).getByRole('button').first().click();
    await dialog().waitFor();
    await accessible('drawer: an event');
    await opened('/operate/administrators', 'dialog: invite an administrator', named('Invite an administrator'));
    await opened('/operate/keys', 'question: a new key', named('New ES256 key'), question());
    await opened('/journeys', 'dialog: import a journey', named('Import'));
    await opened('/journeys', 'dialog: a template', named('Use'));
    await opened('/', 'menu: the administrator', () => page.locator('.foot').getByRole('button').last(), menu());
    const { doc } = await api('GET', '/journeys/web_login');
    const graph = structuredClone(doc.draft.graph);
    graph.id = 'drawn';
    delete Object.values(graph.nodes).find((n) => n.kind === 'login_form').next.web_to_mobile;
    assert.equal((await api('POST', '/journeys', { id: 'drawn', name: 'Drawn', graph })).status, 200);
    await at('/journeys/drawn');
    await page.locator('.react-flow__edge').first().waitFor({ state: 'attached' });
    await accessible('editor: problems');
    await page.getByRole('button', { name: /problem/ }).click();
    await dialog().waitFor();
    await accessible('drawer: problems');
    await shut();
    await page.locator('.jnode').first().click();
    await page.locator('.inspector h3').first().waitFor();
    await accessible('editor: a step');
    await press('Outline');
    await page.getByRole('treeitem').first().waitFor();
    await accessible('editor: outline');
    await at('/journeys/web_login/versions');
    await page.getByRole('button', { name: '1', exact: true }).click();
    await accessible('journey: a version and its difference');
    await at('/journeys/web_login/try');
    await press('Start');
    await page.locator('.tryout form').first().waitFor();
    await accessible('try: the first page');
  }, 900);

  if (shots) await test('a run, and the way in, as they are drawn', async () => {
    const visitor = await context.newPage();
    await visitor.goto(`${w.base}/login/demo-web/web_login`);
    await visitor.getByRole('button', { name: 'Cancel' }).click();
    await visitor.getByRole('heading', { name: 'Not signed in' }).waitFor();
    await visitor.close();
    await at('/journeys/web_login/runs');
    await page.locator('.tryout tbody tr').first().click();
    await page.locator('.events li').first().waitFor();
    await accessible('journey: a run');
    await api('DELETE', '/session');
    await at('/');
    await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
    await accessible('sign in');
    forget(); // of the session that has ended
  });
});
