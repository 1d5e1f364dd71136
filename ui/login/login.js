// What a hosted page does when it may: it hears at once when the phone has
// answered, counts down, shows a password, knows passkeys. Everything but what a key
// or a camera answers works without it.

const sheet = /** @type {HTMLElement} */ (document.querySelector('main'));

/** @param {string} selector @param {(e: HTMLElement) => void} fn */
function each(selector, fn) {
  for (const e of document.querySelectorAll(selector)) if (e instanceof HTMLElement) fn(e);
}

/** @param {string} selector @param {string} text */
function say(selector, text) {
  each(selector, (e) => { e.textContent = text; });
}

/** Asks until there is something else to draw; the server holds each question. */
async function wait() {
  for (let failures = 0; failures < 20;) {
    try {
      const r = await fetch(`${location.pathname}?wait`, { headers: { accept: 'application/json' } });
      if (!r.ok || (await r.json()).new) break;
      failures = 0;
    } catch {
      failures++;
      await new Promise((again) => { setTimeout(again, Math.min(500 * 2 ** failures, 10_000)); });
    }
  }
  say('[data-status]', sheet.dataset.news ?? '');
  location.replace(location.pathname);
}

/** Draws what is left of the time; says it aloud at half of it and near its end. */
function countDown() {
  const seconds = Number(sheet.dataset.seconds);
  const life = Number(sheet.dataset.life);
  const end = Date.now() + seconds * 1000;
  const rim = document.querySelector('ww-tile .left');
  const clock = /** @type {HTMLElement | null} */ (document.querySelector('[data-words]'));
  let said = seconds;
  setInterval(() => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    rim?.setAttribute('stroke-dashoffset', String(100 - (100 * left) / life));
    rim?.parentElement?.parentElement?.toggleAttribute('data-low', left < life / 4);
    if (clock) clock.textContent = (clock.dataset.words ?? '').replace('{time}', `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`);
    if (said > life / 2 && left <= life / 2) say('[data-status]', sheet.dataset.half ?? '');
    if (said > 10 && left <= 10) say('[data-status]', sheet.dataset.ten ?? '');
    said = left;
  }, 1000);
}

if ('waiting' in sheet.dataset) {
  countDown();
  wait();
}

/**
 * Looks whether the phone that a page adds has come; then the account says so.
 * @param {string} question
 */
async function watch(question) {
  for (const end = Date.now() + 600_000; Date.now() < end;) {
    await new Promise((again) => { setTimeout(again, 2000); });
    try {
      const r = await fetch(location.pathname + question, { headers: { accept: 'application/json' } });
      if (!r.ok) return;
      if ((await r.json()).new) return location.replace(location.pathname.replace(/\/(\w+)$/, '?done=$1'));
    } catch { /* away: it is asked again */ }
  }
}
each('[data-watch]', (e) => { void watch(e.dataset.watch ?? ''); });

// Times in the reader's own zone and way.
const how = /** @type {const} */ ({ dateStyle: 'medium', timeStyle: 'short' });
each('time[datetime]', (e) => {
  e.textContent = new Date(e.getAttribute('datetime') ?? '').toLocaleString(document.documentElement.lang, how);
});
each('[data-later]', (e) => {
  const at = new Date(e.dataset.at ?? '').toLocaleTimeString(document.documentElement.lang, { hour: 'numeric', minute: '2-digit' });
  e.textContent = (e.dataset.later ?? '').replace('{time}', at);
});

each('[data-reveal]', (b) => {
  const field = document.getElementById(b.dataset.reveal ?? '');
  if (!(field instanceof HTMLInputElement)) return;
  const show = b.textContent;
  b.hidden = false;
  b.addEventListener('click', () => {
    const open = field.type === 'password';
    field.type = open ? 'text' : 'password';
    b.textContent = open ? b.dataset.hide ?? '' : show;
  });
  field.form?.addEventListener('submit', () => { field.type = 'password'; });
});

// Recovery codes: copied, printed or kept as a file.
each('[data-tools]', (tools) => {
  tools.hidden = false;
  const codes = () => Array.from(document.querySelectorAll('#codes code'), (c) => c.textContent).join('\n');
  /** @param {string} name @param {(b: HTMLElement) => void} fn */
  const on = (name, fn) => each(`[data-${name}]`, (b) => b.addEventListener('click', () => fn(b)));
  on('copy', async (b) => {
    await navigator.clipboard.writeText(codes());
    say('[data-said]', b.dataset.copy ?? '');
  });
  on('print', () => print());
  on('download', () => {
    const a = document.createElement('a');
    a.href = URL.createObjectURL(new Blob([`${document.title}\n\n${codes()}\n`], { type: 'text/plain' }));
    a.download = 'recovery-codes.txt';
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 1000);
  });
});

// A second click is the same answer; it need not be sent.
document.addEventListener('submit', (e) => {
  if (!(e.target instanceof HTMLFormElement) || e.defaultPrevented) return;
  const buttons = e.target.querySelectorAll('button');
  setTimeout(() => { for (const b of buttons) b.disabled = true; });
});

// Back shows what is, not what was.
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });

// What a script answers, it answers when it is asked.
/** @type {Record<string, () => Promise<{begin: (form: HTMLFormElement) => unknown}>>} */
const scripts = { device: () => import('./device.js'), owner: () => import('./owner.js'), face: () => import('./face.js') };
const asked = document.querySelector('form[data-proof]');
if (asked instanceof HTMLFormElement) scripts[asked.dataset.proof ?? '']?.().then((m) => m.begin(asked));

if (document.querySelector('[data-key]')) import('./passkey.js').then((m) => m.begin(sheet.dataset));
