// What a hosted page does when it may: it hears at once when the phone has
// answered, and counts down. Everything else works without it.

const sheet = document.querySelector('main');

/** Asks until there is something else to draw; the server holds each question. */
async function wait() {
  for (let failures = 0; failures < 20;) {
    try {
      const r = await fetch(`${location.pathname}?wait`, { headers: { accept: 'application/json' } });
      if (!r.ok) break;
      if ((await r.json()).new) break;
      failures = 0;
    } catch {
      failures++;
      await new Promise((again) => { setTimeout(again, Math.min(500 * 2 ** failures, 10_000)); });
    }
  }
  location.replace(location.pathname);
}

function countDown() {
  const end = Date.now() + Number(sheet?.dataset.seconds) * 1000;
  const left = document.querySelector('[data-left]');
  setInterval(() => {
    if (left) left.textContent = String(Math.max(0, Math.round((end - Date.now()) / 1000)));
  }, 1000);
}

const tile = document.querySelector('.tile');
tile?.toggleAttribute('data-long', (tile.textContent ?? '').length > 2);

if (sheet && 'waiting' in sheet.dataset) {
  countDown();
  wait();
}

// A second click is the same answer; it need not be sent.
document.addEventListener('submit', (e) => {
  if (!(e.target instanceof HTMLFormElement)) return;
  for (const b of e.target.querySelectorAll('button')) setTimeout(() => { b.disabled = true; });
});
