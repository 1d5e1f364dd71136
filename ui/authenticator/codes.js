// Codes: of the time, and of a challenge. They need no network.

import { NoSecret, answerAt, codeAt, grouped, parse } from './totp.js';
import { Cancelled, complain, dialog, field, sure } from './ask.js';
import { h, icon, t } from './dom.js';
import { invitation, scan } from './enrol.js';
import * as store from './store.js';

/** @typedef {import('./app.js').App} App */
/** @typedef {import('./totp.js').Entry} Entry */

/** @param {App} app */
export function codes(app) {
  const list = h('ul', { class: 'list' });
  const empty = h('section', { class: 'calm', hidden: true }, h('h2', {}, t('codes.none')), h('p', {}, t('codes.nonetext')));
  store.entries().then((all) => {
    empty.hidden = all.length > 0;
    list.replaceChildren(...all.map((e) => row(app, e)));
  });
  return [
    h('header', { class: 'top' }, h('h1', { tabindex: '-1' }, t('tab.codes'))), list, empty,
    h('button', { type: 'button', class: 'button wide', onclick: () => append(app) }, icon('plus'), t('codes.add')),
  ];
}

/** @param {App} app @param {Entry} e */
function row(app, e) {
  const code = h('button', { type: 'button', class: 'code tabular' });
  const left = h('meter', { min: 0, max: e.period, 'aria-hidden': 'true' });
  const words = h('small', { class: 'tabular' });
  const li = h('li', { class: 'card entry' },
    h('p', {}, h('b', {}, e.issuer || t('codes.noname')), h('small', {}, e.label), e.account ? h('small', {}, t('codes.offline')) : null),
    code, h('p', { class: 'ends' }, left, words),
    h('div', { class: 'tools' },
      h('button', { type: 'button', class: 'button quiet', onclick: () => challenge(e) }, t('codes.sign')),
      h('button', { type: 'button', class: 'button quiet', onclick: () => remove(app, e) }, t('remove'))));
  let step = -1;
  const draw = async () => {
    const now = app.now();
    const rest = e.period - Math.floor(now / 1000) % e.period;
    left.value = rest;
    words.textContent = t('codes.left', { n: rest });
    const at = Math.floor(now / 1000 / e.period);
    if (at !== step) {
      step = at;
      code.textContent = grouped(await codeAt(e, now));
      code.setAttribute('aria-label', `${code.textContent}: ${t('codes.copy', { name: e.issuer || e.label })}`);
    }
    if (li.isConnected) setTimeout(draw, 1000 - app.now() % 1000);
  };
  setTimeout(draw, 0);
  code.addEventListener('click', async () => {
    await navigator.clipboard?.writeText((code.textContent ?? '').replace(/\s/g, '')).then(() => { app.say(t('copied')); words.textContent = t('copied'); }, () => {});
  });
  return li;
}

/** Makes the code that answers a challenge. @param {Entry} e */
function challenge(e) {
  dialog(t('codes.signtitle'), () => {
    const input = h('input', { name: 'challenge', autocomplete: 'off', autofocus: true, maxlength: 128 });
    const out = h('output', { class: 'code tabular', for: 'f-challenge' });
    return [h('p', {}, t('codes.signtext')), h('form', { class: 'stack', onsubmit: async (/** @type {Event} */ ev) => {
      ev.preventDefault();
      if (complain(input, input.value.trim() ? '' : t('codes.nochallenge'))) return;
      out.textContent = grouped(await answerAt(e, input.value.trim(), Date.now()));
    } }, field(t('codes.challenge'), input), h('button', { class: 'button primary' }, t('codes.make')), out)];
  }).catch(quietly);
}

/** @param {unknown} err */
function quietly(err) {
  if (!(err instanceof Cancelled)) throw err;
}

/** @param {App} app @param {Entry} e */
async function remove(app, e) {
  try {
    await sure(t('codes.removetitle', { name: e.issuer || e.label }), t('codes.removetext'), t('remove'));
    await store.dropEntry(e);
    app.refresh();
  } catch (err) {
    quietly(err);
  }
}

/** What is wrong with a QR code for a code. @param {string} text @returns {string | Promise<string>} */
const judge = (text) => (invitation(text) ? t('scan.account') : parse(text).then(() => '', () => t('scan.foreign')));

/** @param {App} app */
function append(app) {
  dialog(t('codes.add'), (/** @type {(e: Entry) => void} */ done) => {
    const secret = h('input', { name: 'secret', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', maxlength: 1000 });
    const name = h('input', { name: 'issuer', autocomplete: 'off', maxlength: 60 });
    const take = (/** @type {string} */ text) => parse(text).then((e) => {
      if (!e.issuer) e.issuer = name.value.trim();
      done(e);
    }, (err) => {
      if (!(err instanceof NoSecret)) throw err;
      complain(secret, t('codes.bad'));
    });
    return [
      h('button', { type: 'button', class: 'button primary wide', autofocus: true, onclick: () => scan(judge).then(take, quietly) }, t('scan.go')),
      h('form', { class: 'stack', onsubmit: (/** @type {Event} */ ev) => { ev.preventDefault(); take(secret.value); } }, field(t('codes.secret'), secret, t('codes.secrethelp')), field(t('codes.name'), name), h('button', { class: 'button' }, t('codes.keep'))),
    ];
  }).then(async (e) => {
    await store.keepEntry(e);
    app.refresh();
  }, quietly);
}
