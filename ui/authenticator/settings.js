// How the phone's owner looks after it: notifications, language, and for each
// account its keys, its other phones and its end.

import { biometricKey, forget } from '/lib/keys.js';
import { NetworkError, Refused, call } from './api.js';
import { Cancelled, confirm, dialog, makeOwner, sure } from './ask.js';
import { h, icon, language, languages, speak, t, when } from './dom.js';
import { hints } from './enrol.js';
import { able, reach, silence } from './notice.js';
import { NotOwner, platform } from '/lib/owner.js';
import { parse } from './totp.js';
import * as store from './store.js';

/** @typedef {import('./app.js').App} App */
/** @typedef {import('./store.js').Kept} Kept */

/** @param {App} app @returns {Node[]} */
export function settings(app) {
  const choice = h('select', { id: 'language', onchange: async () => {
    await store.set('language', choice.value);
    await store.set('spoken', choice.value);
    await speak(choice.value);
    app.refresh();
  } }, Object.entries(languages).map(([id, name]) => h('option', { value: id, lang: id, selected: id === language }, name)));
  return /** @type {Node[]} */ ([
    h('header', { class: 'top' }, h('h1', { tabindex: '-1' }, t('tab.settings'))),
    app.accounts.length > 0 && h('section', {}, h('h2', {}, t('home.accounts')), h('ul', { class: 'list' }, app.accounts.map((a) => h('li', {}, h('button', { type: 'button', class: 'card row', onclick: () => app.go('account', a.id) },
      h('span', { class: 'grow' }, h('b', {}, a.about.app), h('small', {}, a.about.label)), icon('next')))))),
    notices(app, true),
    h('section', { class: 'field' }, h('label', { for: 'language' }, t('settings.language')), choice),
    h('section', {}, h('h2', {}, t('lost.title')), h('p', {}, t('lost.text')), h('ul', { class: 'dots' }, [1, 2, 3].map((n) => h('li', {}, t(`lost.${n}`))))),
    hints(),
  ].filter(Boolean));
}

// Notifications.

/** Offers notifications where they are not on; says so where they cannot be. @param {App} app @param {boolean} [always] */
export function notices(app, always) {
  const can = able && app.accounts.some((a) => a.about.push);
  if (!can) return always ? h('section', {}, h('h2', {}, t('notice.title')), h('p', {}, t('notice.none'))) : null;
  if (!always && (Notification.permission !== 'default' || app.silent)) return null;
  const denied = Notification.permission === 'denied';
  const on = !denied && !app.silent && Notification.permission === 'granted' && app.accounts.some((a) => a.told);
  const wait = !denied && !on && app.telling > 0; // a button may not become its opposite under a finger
  const words = h('p', { role: 'status' }, denied ? t('notice.denied') : on ? t('notice.on') : wait ? t('wait') : t('notice.text'));
  const button = h('button', { type: 'button', class: 'button wide', disabled: wait, onclick: async () => {
    button.disabled = true;
    await (on ? turnOff(app) : turnOn(app)).then(() => app.refresh(), () => {
      words.textContent = t(Notification.permission === 'denied' ? 'notice.denied' : 'notice.failed');
      button.disabled = false;
    });
  } }, on ? t('notice.off') : t('notice.go'));
  return h('section', { class: always ? '' : 'note' }, h('h2', {}, t('notice.title')), words, !denied && button);
}

/** @param {App} app */
async function turnOn(app) {
  if (await Notification.requestPermission() !== 'granted') throw new Error('denied');
  await reach((await navigator.serviceWorker.ready).pushManager);
  await quiet(app, false);
}

/** @param {App} app */
async function turnOff(app) {
  await silence((await navigator.serviceWorker.ready).pushManager);
  await quiet(app, true);
}

/** @param {App} app @param {boolean} yes */
async function quiet(app, yes) {
  await store.set('silent', yes);
  app.silent = yes;
  app.accounts = await store.accounts();
}

// One account.

/** @param {App} app @param {string} id @returns {Node[]} */
export function account(app, id) {
  const a = app.accounts.find((have) => have.id === id);
  if (!a) return settings(app);
  const said = h('p', { class: 'hint', id: 'account-said', tabindex: '-1' }, app.note);
  app.note = '';
  const phones = h('ul', { class: 'list' });
  const drawPhones = (/** @type {import('./api.js').Account} */ about) => phones.replaceChildren(...about.phones.map((p) => h('li', { class: 'card row' },
    h('span', { class: 'grow' }, h('b', {}, p.name), h('small', {}, p.this ? t('account.this') : t('account.seen', { at: when(p.seen_at) }))),
    !p.this && h('button', { type: 'button', class: 'button quiet', onclick: () => act(t('account.revoked'), () => revoke(app, a, p)) }, t('account.revoke')))));
  const act = async (/** @type {string} */ done, /** @type {() => Promise<void>} */ fn) => {
    said.textContent = t('wait');
    try {
      await fn();
      app.note = done; // what was drawn may be of keys that are no more
      app.say(done);
      app.refresh();
      document.getElementById('account-said')?.focus();
    } catch (err) {
      if (err instanceof Cancelled) said.textContent = '';
      else if (err instanceof NetworkError) said.textContent = t('trouble.lost');
      else if (err instanceof NotOwner) said.textContent = t('owner.not');
      else if (err instanceof Refused) said.textContent = err.code === 'wrong' ? t('owner.wrong') : err.message;
      else throw err;
      app.say(said.textContent);
    }
  };
  drawPhones(a.about);
  if (!a.gone) renew(app, a).then(drawPhones, () => {});
  const button = (/** @type {string} */ words, /** @type {() => void} */ fn) => h('button', { type: 'button', class: 'button wide', onclick: fn }, words);
  const owner = h('button', { type: 'button', class: 'button wide', onclick: () => act(t('account.changed'), () => change(app, a)) }, a.owner.kind === 'pin' ? t('account.pin') : t('account.topin'));
  const finger = button(t('account.tofinger'), () => act(t('account.changed'), () => change(app, a, 'biometric')));
  finger.hidden = true;
  if (a.owner.kind === 'pin') platform().then((can) => { finger.hidden = !can || !a.about.owners.biometric; });
  return /** @type {Node[]} */ ([
    h('header', { class: 'top' }, h('button', { type: 'button', class: 'round', 'aria-label': t('back'), onclick: () => app.back() }, icon('back'))),
    h('h1', { tabindex: '-1' }, a.about.app), h('p', { class: 'who' }, a.about.label.split('@').flatMap((part, i) => (i ? ['@', h('wbr'), part] : [part]))),
    a.gone && h('p', { class: 'note bad' }, t('account.gone'), ' ', t('account.gonetext')),
    !a.gone && h('section', { class: 'stack' }, h('p', {}, a.owner.kind === 'pin' ? t('account.haspin') : t('account.hasfinger')), owner, finger,
      button(t('account.offline'), () => act(t('account.offlinedone'), () => offlineCode(app, a))),
      button(t('account.rotate'), () => act(t('account.rotated'), () => rotate(app, a)))),
    said,
    !a.gone && h('section', {}, h('h2', {}, t('account.phones')), phones, h('p', { class: 'hint' }, t('account.phonestext'))),
    h('section', {}, h('button', { type: 'button', class: 'button no wide', onclick: () => leave(app, a, said) }, t('account.remove'))),
  ].filter(Boolean));
}

/** Asks the server anew what it knows. @param {App} app @param {Kept} a */
async function renew(app, a) {
  const about = await call(await app.speaker(a), 'account', {});
  await store.keepAccount({ ...a, about });
  app.accounts = await store.accounts();
  return about;
}

/** @param {App} app @param {Kept} a @param {import('./api.js').PhoneInfo} p */
async function revoke(app, a, p) {
  await sure(t('account.revoketitle', { name: p.name }), t('account.revoketext'), t('account.revoke'));
  const about = await call(await app.speaker(a), 'revoke', { device_id: p.id }, { confirm: confirm(a.owner) });
  await app.keep({ ...a, about });
}

/** @param {App} app @param {Kept} a @param {'biometric'} [to] */
async function change(app, a, to) {
  const phone = await app.speaker(a);
  const sign = confirm(a.owner);
  const { owner, said } = await makeOwner(a.about.owners, a.about.label, to ?? 'pin');
  const about = await call(phone, 'owner', { owner: said }, { confirm: sign });
  await app.keep({ ...a, owner, about });
}

/** @param {App} app @param {Kept} a */
async function rotate(app, a) {
  const phone = await app.speaker(a);
  const keyName = `${a.keyName.split('~')[0]}~${Date.now()}`;
  const next = await biometricKey(keyName);
  await store.keepAccount({ ...a, next: keyName }); // the answer may get lost, and then this is the phone's key
  try {
    const key_signature = await next.sign(['watchword/rotate/v1', phone.key.id, next.id].join('\n'));
    const about = await call(phone, 'rotate', { public_key: next.spki, key_signature }, { confirm: confirm(a.owner) });
    await app.keep({ ...a, keyName, about });
  } catch (err) {
    if (!(err instanceof NetworkError)) {
      await store.keepAccount(a);
      await forget(keyName);
    }
    throw err;
  }
  await forget(a.keyName);
}

/** @param {App} app @param {Kept} a */
async function offlineCode(app, a) {
  const { uri } = await call(await app.speaker(a), 'totp', {}, { confirm: confirm(a.owner) });
  await store.keepEntry({ ...await parse(uri), account: a.id });
}

/** @param {App} app @param {Kept} a @param {HTMLElement} said */
async function leave(app, a, said) {
  try {
    await dialog(t('account.removetitle', { app: a.about.app }), (/** @type {(yes: true) => void} */ done) => [h('p', {}, t('account.removetext')), h('div', { class: 'stack' }, h('button', { type: 'button', class: 'button no', onclick: () => done(true) }, t('account.remove')))]);
    if (!a.gone) await call(await app.speaker(a), 'forget', {}).catch((err) => { if (!(err instanceof Refused)) throw err; });
    await app.drop(a);
    app.go('home', t('account.removed'), true);
  } catch (err) {
    if (err instanceof NetworkError) said.textContent = t('trouble.lost');
    else if (!(err instanceof Cancelled)) throw err;
  }
}
