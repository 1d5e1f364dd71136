// The console when something is not as it was: the session is over, the server
// does not answer, another administrator changed the same thing. Nothing that was
// typed is lost, and nothing of anybody else's is overwritten. Exit status 0 means
// that all of it held.
// See console.mjs for what it needs.

import assert from 'node:assert/strict';
import { accessible, api, at, complained, context, enter, forget, page, press, quiet, saved, settled, shots, spec, test } from './console.mjs';

const drawer = () => page.getByRole('dialog', { name: 'Northwind web shop' });
const name = () => drawer().getByLabel('Name', { exact: true });
const over = () => page.getByRole('dialog', { name: 'Your session is over' });
const away = () => page.getByText('The server does not answer just now.', { exact: false });
/** The browser tells of what was asked for here, and of nothing else. */
const onlyOf = (pattern) => { assert.deepEqual(complained().filter((c) => !pattern.test(c)), []); forget(); };

/** What the refusal lists of the other's changes: labels with their values. */
async function listed() {
  const list = page.getByRole('alert').locator('dl');
  await list.waitFor();
  return list.evaluate((dl) => Object.fromEntries([...dl.querySelectorAll('dt')].map((dt) => [dt.textContent, dt.nextElementSibling.textContent])));
}

/** Opens a client and types a name. */
async function typed(text) {
  await at('/apps/demo/clients/demo-web');
  await settled();
  await name().fill(text);
}

const client = async () => (await api('GET', '/apps/demo/clients/demo-web')).doc;

await spec(async () => {
  await enter();
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  await at('/operate/passkeys');
  await page.getByRole('button', { name: 'Add a passkey' }).first().click();
  await page.getByRole('cell', { name: 'Passkey' }).first().waitFor();

  await test('a session that is over is begun again under what was typed, and what was pressed is done', async () => {
    await typed('Typed before');
    await api('DELETE', '/session');
    await drawer().getByRole('button', { name: 'Save' }).click();
    await over().waitFor();
    await accessible('session over');
    await page.keyboard.press('Escape');
    assert.equal(await over().isVisible(), true, 'what stands behind it is nobody\'s to see');
    assert.equal(await page.locator('.veil.bare').evaluate((e) => getComputedStyle(e).backgroundColor), await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'it is hidden');
    await over().getByRole('button', { name: 'Sign in with a passkey' }).click();
    await page.getByText('Saved.', { exact: true }).waitFor();
    await drawer().waitFor({ state: 'detached' });
    assert.equal((await client()).name, 'Typed before');
    onlyOf(/401/);
    const { doc, etag } = await api('GET', '/apps/demo/clients/demo-web');
    await api('PUT', '/apps/demo/clients/demo-web', { name: 'Northwind web shop', settings: doc.settings }, etag);
  });

  await test('what is drawn while the session is over is stored after signing in', async () => {
    const { doc } = await api('GET', '/journeys/web_login');
    assert.equal((await api('POST', '/journeys', { id: 'kept', name: 'Kept', graph: { ...doc.draft.graph, id: 'kept' } })).status, 200);
    await at('/journeys/kept');
    await page.getByText('No problems').waitFor();
    await api('DELETE', '/session');
    await page.getByLabel('Name', { exact: true }).fill('Drawn without a session');
    await over().getByRole('button', { name: 'Sign in with a passkey' }).click();
    await saved();
    assert.equal((await api('GET', '/journeys/kept')).doc.draft.graph.name, 'Drawn without a session');
    onlyOf(/401/);
  });

  await test('somebody else who signs in finds nothing of what was typed', async () => {
    const invited = await api('POST', '/administrators', { name: 'Grace', email: 'grace@example.org', role: 'owner' });
    await typed('Of the one before');
    const secret = new URL(invited.doc.link).hash.split('invite=')[1];
    await api('DELETE', '/session');
    await drawer().getByRole('button', { name: 'Save' }).click();
    await over().waitFor();
    const reloaded = page.waitForEvent('load');
    await api('POST', '/session/invitation', { secret }); // in another window
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))); // as when one comes back to the window
    await reloaded;
    assert.equal((await api('GET', '/session')).doc.administrator.name, 'Grace');
    assert.equal((await client()).name, 'Northwind web shop', 'what was pressed before is not done in another name');
    forget();
    await at('/');
    await settled();
    await api('DELETE', '/session');
    await at('/');
    await press('Sign in with a passkey');
    await page.getByRole('link', { name: 'Journeys', exact: true }).waitFor();
    forget();
  });

  await test('a server that does not answer takes nothing off the page, and is there again by itself', async () => {
    await typed('Typed while it was away');
    await context.setOffline(true);
    try {
      await drawer().getByRole('button', { name: 'Save' }).click();
      await drawer().getByText('The server cannot be reached.', { exact: false }).waitFor();
      await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))); // somebody comes back to the window
      await away().waitFor({ state: 'attached', timeout: 20_000 });
      assert.equal(await name().inputValue(), 'Typed while it was away');
    } finally {
      await context.setOffline(false);
    }
    await away().waitFor({ state: 'detached', timeout: 20_000 });
    await drawer().getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.', { exact: true }).waitFor();
    onlyOf(/ERR_INTERNET_DISCONNECTED/);
    const { doc, etag } = await api('GET', '/apps/demo/clients/demo-web');
    assert.equal(doc.name, 'Typed while it was away');
    await api('PUT', '/apps/demo/clients/demo-web', { name: 'Northwind web shop', settings: doc.settings }, etag);
  });

  await test('two administrators change one client: theirs is loaded, or mine is kept over it', async () => {
    const theirs = async (change) => {
      const { doc, etag } = await api('GET', '/apps/demo/clients/demo-web');
      assert.equal((await api('PUT', '/apps/demo/clients/demo-web', { name: doc.name, settings: doc.settings, ...change(doc) }, etag)).status, 200);
    };
    await typed('Mine');
    await theirs(() => ({ name: 'Theirs' }));
    await drawer().getByRole('button', { name: 'Save' }).click();
    await drawer().getByText('Somebody else changed this meanwhile.', { exact: false }).waitFor();
    assert.deepEqual(await listed(), { Name: 'Theirs' });
    await accessible('two administrators');
    await press('Load what is there');
    await page.waitForFunction(() => [...document.querySelectorAll('[role=dialog] input')].some((i) => i.value === 'Theirs'));
    onlyOf(/412/);

    await at('/apps/demo/clients/demo-web');
    await settled();
    const open = page.getByRole('dialog');
    await open.getByLabel('Name', { exact: true }).fill('Mine again');
    await theirs((doc) => ({ settings: { ...doc.settings, login_uri: 'https://theirs.example/login' } }));
    await open.getByRole('button', { name: 'Save' }).click();
    assert.deepEqual(Object.values(await listed()), ['https://theirs.example/login'], 'what is mine is not listed');
    await press('Keep what I changed');
    await page.waitForFunction(() => [...document.querySelectorAll('[role=dialog] input')].some((i) => i.value === 'https://theirs.example/login'));
    assert.equal(await open.getByLabel('Name', { exact: true }).inputValue(), 'Mine again');
    await open.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.', { exact: true }).waitFor();
    const now = await client();
    assert.deepEqual([now.name, now.settings.login_uri], ['Mine again', 'https://theirs.example/login']);
    onlyOf(/412/);
  });

  await test('two administrators change one method', async () => {
    await at('/apps/demo/methods/totp');
    await settled();
    const open = page.getByRole('dialog');
    await open.getByLabel('Authenticators per user').fill('3');
    const { etag } = await api('GET', '/apps/demo/methods/totp');
    assert.equal((await api('PUT', '/apps/demo/methods/totp', { settings: { digits: 8 } }, etag)).status, 200);
    await open.getByRole('button', { name: 'Save' }).click();
    assert.deepEqual(await listed(), { Digits: '8' });
    await press('Keep what I changed');
    await open.getByRole('button', { name: 'Save' }).click();
    await page.getByText('It counts from the next attempt on.', { exact: false }).waitFor();
    const { doc } = await api('GET', '/apps/demo/methods/totp');
    assert.deepEqual([doc.own.max_per_user, doc.own.digits], [3, 8]);
    onlyOf(/412/);
    quiet('methods');
  });

  await test('two administrators change one secret: it is listed and not shown', async () => {
    // No setting of a client is a secret today: one is made of another.
    await page.route('**/admin/v1/catalog', async (route) => {
      const answer = await route.fetch();
      const catalog = await answer.json();
      catalog.client.find((f) => f.name === 'login_uri').type = 'secret';
      await route.fulfill({ response: answer, json: catalog });
    });
    await at('/apps/demo/clients/demo-web');
    await settled();
    const open = page.getByRole('dialog');
    await open.getByLabel('Name', { exact: true }).fill('Mine');
    const { doc, etag } = await api('GET', '/apps/demo/clients/demo-web');
    assert.equal((await api('PUT', '/apps/demo/clients/demo-web', { name: doc.name, settings: { ...doc.settings, login_uri: 'https://secret.example/' } }, etag)).status, 200);
    await open.getByRole('button', { name: 'Save' }).click();
    assert.deepEqual(Object.values(await listed()), ['changed']);
    assert.ok(!(await page.content()).includes('secret.example'));
    await press('Load what is there');
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.unrouteAll();
    onlyOf(/412/);
  });

  await test('two administrators change the settings of the tenant, and one branding', async () => {
    await at('/operate/settings');
    await settled();
    await page.getByLabel('Tenant name *', { exact: true }).fill('Mine');
    let { doc, etag } = await api('GET', '/settings');
    assert.equal((await api('PUT', '/settings', { ...doc, languages: ['de', 'ja'], default_language: 'de', run_retention_days: 12 }, etag)).status, 200);
    await press('Save');
    assert.deepEqual(await listed(), { 'Languages offered': 'Deutsch; 日本語', 'Language when nothing else is known': 'Deutsch', 'Days to keep runs': '12' });
    await accessible('settings of two');
    if (shots) await page.screenshot({ path: `${shots}/settings_of_two.png` });
    await press('Load what is there');
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await at('/apps/demo/branding');
    await settled();
    await page.getByLabel('Privacy').fill('https://mine.example/');
    ({ doc, etag } = await api('GET', '/apps/demo/branding'));
    const { signal, signal_dark, texts, privacy, terms, support } = doc;
    assert.equal((await api('PUT', '/apps/demo/branding', { signal, signal_dark, privacy, support, terms: 'https://theirs.example/terms', texts: { ...texts, de: { welcome: 'Guten Tag' } } }, etag)).status, 200, terms);
    await press('Save');
    assert.deepEqual(await listed(), { 'Welcome (Deutsch)': 'Guten Tag', Terms: 'https://theirs.example/terms' });
    await press('Keep what I changed');
    await page.waitForFunction(() => [...document.querySelectorAll('input[type=url]')].some((i) => i.value === 'https://theirs.example/terms'));
    assert.equal(await page.getByLabel('Privacy').inputValue(), 'https://mine.example/');
    await press('Take back');
    onlyOf(/412/);
  });

  await test('two administrators change one webhook, one organisation and one provider', async () => {
    const dialog = page.getByRole('dialog');
    const box = (label) => dialog.getByRole('textbox', { name: new RegExp(`^${label}( \\*)?$`) });
    const save = () => dialog.getByRole('button', { name: 'Save', exact: true }).click();
    const stands = (label, value) => page.waitForFunction(([label, value]) => [...document.querySelectorAll('[role=dialog] label')].some((l) => l.textContent.replace(' *', '') === label && l.control?.value === value), [label, value]);
    /** Types, has somebody else be faster, keeps what was typed over what they changed, and stores it. */
    async function both(mine, other, list, theirs) {
      await box(mine[0]).fill(mine[1]);
      assert.equal((await other()).status, 200);
      await save();
      assert.deepEqual(await listed(), list);
      await accessible(`two change ${mine[0]}`);
      await press('Keep what I changed');
      await stands(...theirs);
      await stands(...mine);
      await page.getByRole('alert').waitFor({ state: 'detached' });
      await save();
      await page.getByText('Saved.', { exact: true }).waitFor();
      await dialog.waitFor({ state: 'detached' });
      onlyOf(/412/);
    }
    const org = (await api('POST', '/apps', { id: 'partners', name: 'Partners', audience: 'b2b' }), await api('POST', '/apps/partners/organisations', { name: 'ACME' })).doc.id;
    const hook = (await api('POST', '/webhooks', { url: 'https://hooks.example/w', events: ['*'] })).doc.id;
    const patch = async (path, body) => api('PATCH', path, body, (await api('GET', path)).etag);
    await at(`/operate/webhooks/${hook}`);
    await press('Change');
    await both(['Address', 'https://mine.example/w'], () => patch(`/webhooks/${hook}`, { events: ['push.*', 'auth.*'], enabled: false }), { Events: 'push.*; auth.*', State: 'Off' }, ['Events', 'push.* auth.*']);
    const now = (await api('GET', `/webhooks/${hook}`)).doc;
    assert.deepEqual([now.url, now.events, now.enabled], ['https://mine.example/w', ['push.*', 'auth.*'], false]);
    await at(`/apps/partners/organisations/${org}`);
    await press('Change');
    await both(['Name', 'Mine'], () => patch(`/apps/partners/organisations/${org}`, { domains: ['acme.example'] }), { Domains: 'acme.example' }, ['Domains', 'acme.example']);
    await press('Change');
    await box('Name').fill('Mine again');
    assert.equal((await patch(`/apps/partners/organisations/${org}`, { name: 'Theirs' })).status, 200);
    await save();
    await press('Load what is there');
    await stands('Name', 'Theirs');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' }); // nothing of mine is there to be asked about
    onlyOf(/412/);
    const set = async (config) => api('PUT', '/providers/twilio/default', { config }, (await twilio())?.etag);
    const twilio = async () => (await api('GET', '/providers')).doc.items.find((p) => p.kind === 'twilio');
    await set({ account_sid: 'AC1', auth_token: 'of somebody else', from: '+15550100' });
    const title = (await api('GET', '/catalog')).doc.providers.find((k) => k.kind === 'twilio').title;
    await at('/operate/providers/twilio/default');
    await stands('Account SID', 'AC1');
    await both(['Account SID', 'mine'], () => set({ account_sid: 'AC1', from: '+15550199' }), { From: '+15550199' }, ['From', '+15550199']);
    await at('/operate/providers/twilio/default');
    await stands('Account SID', 'mine');
    await dialog.getByLabel(/^Auth token/).fill('of mine');
    await both(['Account SID', 'mine anew'], async () => api('DELETE', '/providers/twilio/default', undefined, (await twilio()).etag).then(({ status }) => ({ status: status === 204 ? 200 : status })), { [title]: 'Not set' }, ['From', '+15550199']);
    const { account_sid, auth_token, from } = (await twilio()).config;
    assert.deepEqual([account_sid, auth_token, from], ['mine anew', { set: true }, '+15550199']);
  });
});
