// The wire log: each request and each response one line, opening to its JSON.

import { find } from '/lib/page.js';

/** Beyond this the oldest lines go. */
const MOST = 300;

/** Fields that would only fill the line: keys, signatures, tokens. */
const LONG = 72;

export class Wire {
  #count = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.lines = find(root, '[data-wire=lines]');
    this.body = find(root, '[data-wire=body]');
    const toggle = find(root, '[data-wire=toggle]');
    toggle.addEventListener('click', () => {
      this.body.hidden = !this.body.hidden;
      toggle.setAttribute('aria-expanded', String(!this.body.hidden));
    });
    find(root, '[data-wire=clear]').addEventListener('click', () => {
      this.lines.replaceChildren();
      this.#count = 0;
      this.#counted();
    });
  }

  /**
   * What a protocol client tells its messages to.
   * @param {'shop' | 'phone'} who
   * @returns {import('/lib/mosaic.js').Watch}
   */
  watch(who) {
    return ({ name, body }) => {
      const asked = this.#line(who, '→', name, '', body);
      asked.classList.add('held');
      return (answer) => {
        asked.classList.remove('held');
        const quiet = name.startsWith('device/') && nothing(answer.body);
        const bad = answer.status === 0 || answer.status >= 400;
        const line = this.#line(who, '←', `${answer.status || '–'} ${outcome(answer.body)}`, `${answer.ms < 10 ? answer.ms.toFixed(1) : Math.round(answer.ms)} ms`, answer.body);
        line.classList.toggle('bad', bad && !quiet);
      };
    };
  }

  /**
   * @param {string} who
   * @param {string} arrow
   * @param {string} name
   * @param {string} ms
   * @param {unknown} body
   */
  #line(who, arrow, name, ms, body) {
    const row = document.createElement('li');
    const details = document.createElement('details');
    const summary = document.createElement('summary');
    const now = new Date();
    const time = `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, '0')}`;
    const cells = { time, arrow, who, name, ms };
    for (const [kind, text] of Object.entries(cells)) {
      const cell = document.createElement('span');
      cell.className = kind;
      cell.textContent = text;
      if (kind === 'arrow') {
        cell.setAttribute('role', 'img');
        cell.setAttribute('aria-label', arrow === '→' ? 'request' : 'response');
      }
      summary.append(cell);
    }
    details.append(summary);
    details.addEventListener('toggle', () => {
      if (!details.open) return;
      if (details.childElementCount === 1) details.append(pretty(body));
      this.body.scrollTop = row.offsetTop - this.lines.offsetTop;
    });
    row.className = `from-${who} ${arrow === '→' ? 'out' : 'in'}`;
    row.append(details);
    const atEnd = this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 48;
    this.lines.append(row);
    while (this.lines.childElementCount > MOST) this.lines.firstElementChild?.remove();
    if (atEnd) this.body.scrollTop = this.body.scrollHeight;
    this.#count++;
    this.#counted();
    return row;
  }

  #counted() {
    find(this.root, '[data-wire=count]').textContent = this.#count === 0 ? 'nothing yet' : `${this.#count} ${this.#count === 1 ? 'message' : 'messages'}`;
    find(this.root, '[data-wire=empty]').hidden = this.#count > 0;
  }
}

/** @param {any} body */
function nothing(body) {
  return Boolean(body?.aborted) || body?.requests?.length === 0;
}

/**
 * A response in a few words.
 * @param {any} body
 */
function outcome(body) {
  if (body?.aborted) return 'hung up';
  if (body?.error) return typeof body.message === 'string' ? body.message : body.error;
  if (Array.isArray(body?.requests)) return body.requests.length ? `${body.requests.length} waiting` : 'nothing waits';
  const d = body?.data ?? {};
  if (d.state === 'completed') return 'completed';
  const flow = d.control_flow?.[0];
  if (d.state === 'pending' && flow) return `pending ${flow.form_id ? `${flow.type} “${flow.form_id}”` : String(flow.type).replace('transmit_platform_', '')}${d.assertion_error_code ? ` · ${d.assertion_error_message}` : ''}`;
  const reason = d.failure_data?.reason?.type ?? d.failure_data?.reason;
  return [d.state ?? 'refused', reason ?? body?.error_message].filter(Boolean).join(' ');
}

/** JSON with its keys set apart and long values cut. @param {unknown} body */
function pretty(body) {
  const pre = document.createElement('pre');
  pre.tabIndex = 0;
  pre.setAttribute('aria-label', 'JSON');
  const text = JSON.stringify(body, (_, v) => (typeof v === 'string' && v.length > LONG ? `${v.slice(0, 40)}… (${v.length} characters)` : v), 2) ?? '';
  let from = 0;
  for (const m of text.matchAll(/^( *)("(?:[^"\\]|\\.)*")(?=:)/gm)) {
    const at = m.index + (m[1] ?? '').length;
    const key = document.createElement('b');
    key.textContent = m[2] ?? '';
    pre.append(text.slice(from, at), key);
    from = at + (m[2] ?? '').length;
  }
  pre.append(text.slice(from));
  return pre;
}
