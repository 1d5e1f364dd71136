// What was answered on this phone, and what can be shown for it.

import { dialog } from './ask.js';
import { h, icon, t, when } from './dom.js';
import { deal, place } from './requests.js';
import * as store from './store.js';

/** @typedef {import('./store.js').Past} Past */

/** @returns {Node[]} */
export function past() {
  const list = h('ul', { class: 'list' });
  const empty = h('section', { class: 'calm', hidden: true }, h('h2', {}, t('past.none')), h('p', {}, t('past.nonetext')));
  store.history().then((all) => {
    empty.hidden = all.length > 0;
    list.replaceChildren(...all.map((p) => h('li', {}, h('button', { type: 'button', class: 'card row', onclick: () => show(p) },
      h('span', { class: `how ${p.how}` }, icon(p.how === 'approved' ? 'yes' : p.how === 'not_me' ? 'flag' : 'no')),
      h('span', { class: 'grow' }, h('b', {}, p.request.app_name), h('small', {}, t(`past.${p.how}`), ' · ', when(p.at))), icon('next')))));
  });
  return [h('header', { class: 'top' }, h('h1', { tabindex: '-1' }, t('tab.past'))), list, empty];
}

/** @param {Past} p */
function show(p) {
  const checked = h('p', { class: 'hint', role: 'status' }, p.receipt ? t('receipt.checking') : '');
  const fact = (/** @type {string} */ name, /** @type {string} */ value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  const { request: r } = p;
  dialog(t(`past.${p.how}`), () => [
    Object.keys(r.approval_data).length > 0 && deal(r.approval_data),
    h('dl', { class: 'facts' }, fact(t('fact.app'), r.app_name), fact(t('fact.where'), place(r.place)), fact(t('fact.with'), r.browser), fact(t('fact.when'), when(p.at))),
    checked,
    p.receipt && h('button', { type: 'button', class: 'button wide', onclick: () => navigator.clipboard?.writeText(p.receipt).then(() => { checked.textContent = t('copied'); }) }, t('receipt.copy')),
  ]).catch(() => {});
  if (p.receipt) holds(p).then((good) => { checked.textContent = good ? t('receipt.good') : t('receipt.bad'); }, () => { checked.textContent = t('receipt.offline'); });
}

/** Whether the server signed just what this history says. @param {Past} p */
async function holds(p) {
  const { decode, verify } = await import('/lib/jwt.js');
  const keys = await (await fetch('/.well-known/jwks.json')).json();
  if (!(await verify(p.receipt, keys))) return false;
  const { claims } = decode(p.receipt);
  return claims.jti === p.id && JSON.stringify(Object.entries(claims.approval_data).sort()) === JSON.stringify(Object.entries(p.request.approval_data).sort());
}
