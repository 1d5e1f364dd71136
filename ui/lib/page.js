// Small helps for pages without a framework: find, fill, say, tell the time.

/**
 * The one element that matches, of the expected class; a page without it is broken.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [type]
 * @returns {T}
 */
export function find(root, selector, type) {
  const e = root.querySelector(selector);
  if (!e || (type && !(e instanceof type))) throw new Error(`the page has no ${selector}`);
  return /** @type {T} */ (e);
}

/**
 * A copy of a <template>'s content, with [data-slot] elements filled: text for
 * text, nothing for null (the element goes away).
 * @param {string} id
 * @param {Record<string, string | number | null>} [slots]
 * @returns {HTMLElement}
 */
export function copy(id, slots = {}) {
  const t = find(document, `#${id}`, HTMLTemplateElement);
  const made = /** @type {HTMLElement} */ (find(/** @type {DocumentFragment} */ (t.content), '*').cloneNode(true));
  fill(made, slots);
  return made;
}

/**
 * @param {HTMLElement} root
 * @param {Record<string, string | number | null>} slots
 */
export function fill(root, slots) {
  for (const [name, value] of Object.entries(slots)) {
    for (const e of root.querySelectorAll(`[data-slot="${name}"]`)) {
      if (!(e instanceof HTMLElement)) continue;
      if (value === null) e.hidden = true;
      else if (e instanceof HTMLInputElement) e.value = String(value);
      else e.textContent = String(value);
      if (value !== null) e.hidden = false;
    }
  }
}

/**
 * @param {ParentNode} root
 * @param {string} act value of data-act
 * @param {() => void} fn
 */
export function on(root, act, fn) {
  for (const e of root.querySelectorAll(`[data-act="${act}"]`)) e.addEventListener('click', () => fn());
}

/** Seconds as "1:58". @param {number} seconds */
export function clock(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

/** The time of day. @param {Date} [at] @param {boolean} [exact] with seconds */
export function timeOfDay(at = new Date(), exact = false) {
  return at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', ...(exact && { second: '2-digit' }), hourCycle: 'h23' });
}

/** @param {number} ms @param {AbortSignal} [signal] */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const t = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => { clearTimeout(t); resolve(undefined); }, { once: true });
  });
}
