// Posting JSON, for whatever speaks to the server, and for whoever wants to watch.

/**
 * A wire message, for whoever wants to watch.
 * @typedef {object} Message
 * @property {string} name
 * @property {unknown} body
 */

/**
 * Told when a request leaves; returns what to tell when its answer comes.
 * @typedef {(m: Message) => (answer: {status: number, body: unknown, ms: number}) => void} Watch
 */

/** The connection failed, or what answered was no Mosaic server. */
export class NetworkError extends Error {}

/**
 * Posts JSON and returns the JSON that comes back, whatever its status.
 * @param {string} url
 * @param {unknown} body
 * @param {{name: string, watch?: Watch, signal?: AbortSignal}} how
 * @returns {Promise<{status: number, body: any}>}
 */
export async function post(url, body, { name, watch, signal }) {
  const told = watch?.({ name, body });
  const since = performance.now();
  const tell = (/** @type {number} */ status, /** @type {unknown} */ answer) => told?.({ status, body: answer, ms: performance.now() - since });
  try {
    const r = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json;charset=UTF-8' }, body: JSON.stringify(body), signal });
    const answer = await r.json();
    tell(r.status, answer);
    return { status: r.status, body: answer };
  } catch (err) {
    if (signal?.aborted) {
      tell(0, { aborted: true });
      throw err;
    }
    tell(0, { error: 'no answer' });
    throw new NetworkError('The server does not answer.', { cause: err });
  }
}
