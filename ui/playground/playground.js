// The playground: a shop, a phone and the wire between them. The two halves
// know nothing of each other; what passes between them goes over the network,
// except for what the switches need to pretend.

import { find } from '/lib/page.js';
import '/lib/tile.js';
import { available, deviceKey } from '/lib/keys.js';
import { Phone } from './phone.js';
import { Shop } from './shop.js';
import { Wire } from './wire.js';
import { said, speak } from './words.js';

/**
 * What GET /dev/config.json says.
 * @typedef {object} Config
 * @property {string} console
 * @property {string} inbox
 * @property {{web: {id: string}, native: {id: string}}} clients
 * @property {{email: string}} user
 */

/** @param {string} words */
function trouble(words) {
  const e = find(document, '#trouble');
  e.textContent = words;
  e.hidden = false;
}

/** @returns {Promise<Config>} */
async function configuration() {
  const r = await fetch('/dev/config.json');
  if (!r.ok) throw new Error(`/dev/config.json answered ${r.status}`);
  return r.json();
}

/**
 * The mark, the tab's title and its icon carry the number while one is shown.
 * @param {string} number '' for none
 */
function showNumber(number) {
  find(document, '#mark').setAttribute('number', number);
  document.title = `${number && `${number} · `}Northwind Coffee · Watchword playground`;
}

/** @param {Config} config */
async function open(config) {
  await speak(new URLSearchParams(location.search).get('lang') ?? '');
  said(find(document, '#phone'));
  for (const a of document.querySelectorAll('a[data-link]')) {
    const url = /** @type {Record<string, any>} */ (config)[a.getAttribute('data-link') ?? ''];
    if (url) a.setAttribute('href', new URL(url).pathname);
  }
  const wire = new Wire(find(document, '#wire'));
  const base = location.origin; // the policy lets this page speak to nobody else
  const moments = { phone: 0, shop: 0 };

  /** @type {Shop} */
  const shop = new Shop(find(document, '#shop'), {
    base, client: config.clients.web.id, key: await deviceKey('shop-device'), watch: wire.watch('shop'),
    email: config.user.email, showNumber,
    phoneEmail: () => phone.email,
    lead: () => { moments.shop = performance.now(); return () => moments.phone && moments.phone - moments.shop; },
  });
  /** @type {Phone} */
  const phone = new Phone(find(document, '#phone'), {
    base, client: config.clients.native.id, watch: wire.watch('phone'), email: config.user.email,
    onSetUp: (email) => shop.suggest(email),
    onApproved: () => { moments.phone = performance.now(); shop.heard(); },
    mayFocus: () => (window === parent || document.hasFocus()) && [null, document.body].includes(/** @type {HTMLElement | null} */ (document.activeElement)) || shop.expects,
    onAnswering: () => { moments.phone = 0; },
    wrongNumber: (among) => shop.anotherNumber(among),
  });
  for (const e of document.querySelectorAll('input[name=play]')) {
    if (!(e instanceof HTMLInputElement)) continue;
    e.addEventListener('change', () => phone.play(/** @type {import('./phone.js').Play} */ (e.value)));
    if (e.checked) phone.play(/** @type {import('./phone.js').Play} */ (e.value)); // browsers keep it over a reload
  }
  await phone.start();
}

if (!available) {
  trouble(`Browsers make keys only on https or on this machine. Open http://127.0.0.1:${location.port || 80}/playground/ instead.`);
} else {
  configuration().then(open).catch((err) => {
    console.error(err);
    trouble('The development server does not answer. Start it with “watchword dev” and load this page again.');
  });
}
