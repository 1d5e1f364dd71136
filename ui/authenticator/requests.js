// What waits, and the answer to it. The owner sees what they sign, and signs what
// they see: the statement is made of the very object that is drawn.

import { clock } from '/lib/page.js';
import { NetworkError, Refused, call, statement } from './api.js';
import { Cancelled, complain, dialog, field } from './ask.js';
import { h, icon, t, tile, when } from './dom.js';
import { travel } from './journey.js';
import { NotOwner } from '/lib/owner.js';
import { notices } from './settings.js';
import * as store from './store.js';

/** @typedef {import('./app.js').App} App */
/** @typedef {import('./app.js').Waiting} Waiting */
/** @typedef {import('./api.js').Shown} Shown */
/** @typedef {'approve' | 'deny' | 'not_me'} Word */

/** @param {App} app @param {string | null} said  what became of the last one */
export function home(app, said) {
  const list = app.requests();
  const cards = list.map((w) => h('li', {}, h('button', { type: 'button', class: 'card row', onclick: () => app.go('request', w) },
    h('span', { class: 'grow' }, h('b', {}, w.shown.app_name), h('small', {}, t(words(w.shown).kind), ' · ', when(w.shown.at))), icon('next'))));
  return [
    h('header', { class: 'top' }, tile(''), h('h1', { tabindex: '-1', class: 'wordmark' }, 'watchword')),
    said && h('p', { class: 'note' }, said),
    list.length ? h('section', {}, h('h2', {}, t('home.waiting')), h('ul', { class: 'list' }, cards))
      : app.accounts.length ? h('section', { class: 'calm' }, tile('–'), h('h2', {}, t('home.none')), h('p', {}, t('home.nonetext')))
        : h('section', { class: 'calm' }, tile('42'), h('h2', {}, t('home.first')), h('p', {}, t('home.firsttext'))),
    app.accounts.length > 0 && notices(app),
    app.accounts.length > 0 && h('section', {}, h('h2', {}, t('home.accounts')), h('ul', { class: 'list' }, app.accounts.map((a) => h('li', {},
      h('button', { type: 'button', class: 'card row', onclick: () => app.go('account', a.id) },
        h('span', { class: 'grow' }, h('b', {}, a.about.app), h('small', {}, a.about.label), a.gone && h('small', { class: 'bad' }, t('account.gone'))), icon('next')))))),
    h('button', { type: 'button', class: app.accounts.length ? 'button wide' : 'button primary wide', onclick: () => app.go('add') }, icon('plus'), t('home.add')),
  ].filter((e) => e !== false && e !== null);
}

/** @param {App} app @param {Waiting} w */
export function request(app, w) {
  if (!w) return home(app, null);
  const { shown } = w;
  const left = h('span', { class: 'tabular' });
  let near = false;
  const draw = () => {
    const ms = shown.expires_at - app.now();
    left.textContent = t('request.left', { time: clock(ms / 1000) });
    if (ms > 0 && ms < 20_000 && !near && left.isConnected) {
      near = true;
      app.say(left.textContent);
    }
    if (!left.isConnected && ms > 0) return;
    if (ms <= 0) return void (app.at === 'request' && !app.busy && app.go('home', t('request.over'), true));
    setTimeout(draw, 1000);
  };
  setTimeout(draw, 0);
  const pay = shown.purpose === 'transaction';
  const number = entry(shown);
  const submit = async (/** @type {Event} */ e) => {
    e.preventDefault();
    const typed = number.read();
    if (typed !== null) await decide(app, w, 'approve', typed);
  };
  return [
    h('header', { class: 'top' }, h('button', { type: 'button', class: 'round', 'aria-label': t('later'), onclick: () => app.back() }, icon('back')), left),
    h('form', { class: 'request', novalidate: true, onsubmit: submit },
      h('h1', { tabindex: '-1' }, t(words(shown).question)),
      h('p', { class: 'who' }, shown.app_name, h('small', {}, w.account.about.label)),
      pay && deal(shown.approval_data),
      h('dl', { class: 'facts' }, fact(t('fact.where'), place(shown.place)), fact(t('fact.with'), shown.browser), fact(t('fact.when'), when(shown.at)), shown.client_name !== shown.app_name && fact(t('fact.client'), shown.client_name)),
      number.view,
      h('p', { class: 'problem', id: 'answer-problem', role: 'alert' }),
      h('div', { class: 'pair' },
        h('button', { type: 'button', class: 'button no', onclick: () => refuse(app, w) }, icon('no'), t('deny')),
        h('button', { class: 'button primary yes' }, icon('yes'), t('approve')))),
  ];
}

/** What a request is called, asks and leaves, by what it is for. */
const PURPOSES = /** @type {Record<string, {kind: string, question: string, done: string}>} */ ({
  transaction: { kind: 'request.pay', question: 'request.payq', done: 'done.paid' },
  enrolment: { kind: 'request.add', question: 'request.addq', done: 'done.add' },
});
const LOGIN = { kind: 'request.in', question: 'request.inq', done: 'done.in' };

/** @param {{purpose: string}} shown */
const words = (shown) => PURPOSES[shown.purpose] ?? LOGIN;

/** Where it comes from, in the language of the app where the server has words for it. @param {string} said */
export const place = (said) => (({ 'this computer': t('place.here'), 'local network': t('place.near') })[said] ?? said);

/** @param {string} name @param {string} value */
const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));

/** What counts most is said first and largest. */
const FIRST = ['amount', 'sum', 'total', 'payee', 'recipient', 'beneficiary', 'to', 'iban'];

/** Names that have a word in every language. */
const NAMED = ['amount', 'currency', 'payee'];

/**
 * Everything that is approved, in full: the values as they are signed. A currency
 * stands behind its amount.
 * @param {Record<string, string>} data
 */
export function deal({ ...data }) {
  if (data.amount && data.currency) {
    data.amount += ` ${data.currency}`;
    delete data.currency;
  }
  const rank = (/** @type {string} */ name) => (FIRST.indexOf(name.toLowerCase()) + 1) || 99;
  const rows = Object.entries(data).sort(([a], [b]) => rank(a) - rank(b));
  return h('dl', { class: 'deal' }, rows.map(([name, value]) => h('div', { class: rank(name) < 99 ? 'big' : '' }, h('dt', {}, NAMED.includes(name) ? t(`deal.${name}`) : name.replaceAll('_', ' ')), h('dd', {}, String(value)))));
}

/**
 * Where the number is entered, by the way the request wants it.
 * @param {Shown} shown
 * @returns {{view: Node | null, read: () => string | null}} read is null while something is missing
 */
function entry(shown) {
  const mode = shown.number_mode;
  if (mode === 'off') return { view: null, read: () => '' };
  if (mode === 'choose-4') {
    const set = h('fieldset', { class: 'choices' }, h('legend', {}, t('number.choose')),
      (shown.choices ?? []).map((n) => h('label', {}, h('input', { type: 'radio', name: 'number', value: n }), h('span', { class: 'tabular' }, n))), h('p', { class: 'problem', id: 'number-problem', role: 'alert' }));
    set.id = 'number';
    return { view: set, read: () => {
      const chosen = /** @type {HTMLInputElement | null} */ (set.querySelector(':checked'));
      return complain(set, chosen ? '' : t('number.choose')) ? null : chosen?.value ?? null;
    } };
  }
  const n = mode === 'type-6' ? 6 : 2;
  const input = h('input', { id: 'number', name: 'number', class: `number n${n}`, inputmode: 'numeric', autocomplete: 'off', maxlength: n, autofocus: true });
  input.addEventListener('input', () => { input.value = input.value.replace(/\D/g, ''); });
  return { view: field(t('number.type'), input), read: () => (complain(input, input.value.length === n ? '' : t('number.missing', { n })) ? null : input.value) };
}

/** Asks what kind of no it is. @param {App} app @param {Waiting} w */
async function refuse(app, w) {
  try {
    const word = await dialog(t('no.title'), (/** @type {(w: Word) => void} */ done) => [
      h('p', {}, t('no.text')),
      h('div', { class: 'stack' },
        h('button', { type: 'button', class: 'button no', onclick: () => done('not_me') }, icon('flag'), t('no.notme')),
        h('button', { type: 'button', class: 'button', autofocus: true, onclick: () => done('deny') }, t('no.deny'))),
    ]);
    await decide(app, w, word, '');
  } catch (err) {
    if (!(err instanceof Cancelled)) throw err;
  }
}

/**
 * Signs and gives the answer, goes through what the server still asks, and says what
 * became of it. Nothing is lost if its owner turns away: the request stays.
 * @param {App} app
 * @param {Waiting} w
 * @param {Word} word
 * @param {string} number
 */
async function decide(app, { account, shown }, word, number) {
  const buttons = [...document.querySelectorAll('.request button')];
  for (const b of buttons) /** @type {HTMLButtonElement} */ (b).disabled = true;
  app.busy = true;
  app.say(t('request.sending'));
  try {
    const phone = await app.speaker(account);
    const signature = await phone.key.sign(await statement(shown, phone.key.id, word, number));
    let run = await call(phone, 'answer', { request: shown.id, decision: word, number, statement_signature: signature });
    if (run.prompt) run = await travel({ phone, about: { name: account.about.device_name, platform: '' }, owner: account.owner, request: shown.id }, run);
    await ended(app, account, shown, word, run);
  } catch (err) {
    app.busy = false;
    if (err instanceof Refused) return failed(app, account, shown, err);
    for (const b of buttons) /** @type {HTMLButtonElement} */ (b).disabled = false;
    app.say('');
    const problem = document.getElementById('answer-problem');
    if (problem) problem.textContent = err instanceof NetworkError ? t('trouble.lost') : err instanceof NotOwner ? t('owner.not') : '';
    if (!(err instanceof NetworkError || err instanceof NotOwner || err instanceof Cancelled)) throw err;
  } finally {
    app.busy = false;
  }
}

/**
 * @param {App} app
 * @param {import('./store.js').Kept} account
 * @param {Shown} shown
 * @param {Word} word
 * @param {import('./api.js').Run} run
 */
async function ended(app, account, shown, word, run) {
  const good = word === 'approve' && ['approved', 'consumed'].includes(run.state ?? '');
  const how = good ? 'approved' : word === 'not_me' ? 'not_me' : word === 'deny' ? 'denied' : 'failed';
  await remember(app, account, shown, how, run.receipt ?? '');
  const said = { approved: t(words(shown).done, { app: shown.app_name }), denied: t('done.denied'), not_me: t('done.notme'), failed: run.end?.message || t('done.failed') };
  app.go('home', said[how], true);
}

/** The server said no. @param {App} app @param {import('./store.js').Kept} account @param {Shown} shown @param {Refused} err */
async function failed(app, account, shown, err) {
  if (err.code === 'limited' || err.code === 'invalid') { // it may still be answered
    return app.go('home', err.message, true);
  }
  await remember(app, account, shown, 'failed', '');
  app.go('home', err.code === 'wrong' ? t('done.wrong') : err.code === 'expired' ? t('request.over') : err.code === 'conflict' ? t('done.already') : err.code === 'locked' ? t('done.locked') : err.message, true);
}

/** @param {App} app @param {import('./store.js').Kept} account @param {Shown} shown @param {import('./store.js').Past['how']} how @param {string} receipt */
async function remember(app, account, shown, how, receipt) {
  app.answered.add(shown.id);
  const { choices: _, challenge: __, ...request } = shown;
  await store.keepPast({ id: shown.id, at: Date.now(), account: account.id, how, request, receipt });
}
