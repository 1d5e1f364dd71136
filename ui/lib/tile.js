// <ww-tile number="42" left="0.75">: the mark with the number to match in it.
// `left` is the share of the time that is left, 0 to 1, drawn as its rim; without
// it there is no rim. The element is decoration for those who listen: say the
// number in words beside it.

const NS = 'http://www.w3.org/2000/svg';
const FACE = 'M17 5h28l14 14v28a12 12 0 0 1-12 12H17A12 12 0 0 1 5 47V17A12 12 0 0 1 17 5Z';
const RIM = 'M32 1h15l16 16v30a16 16 0 0 1-16 16H17A16 16 0 0 1 1 47V17A16 16 0 0 1 17 1Z';

/**
 * @param {string} className
 * @param {string} d
 */
function path(className, d) {
  const p = document.createElementNS(NS, 'path');
  p.setAttribute('class', className);
  p.setAttribute('d', d);
  p.setAttribute('pathLength', '100');
  return p;
}

export class Tile extends HTMLElement {
  static observedAttributes = ['number', 'left'];

  #digits = document.createElement('span');
  #track = path('track', RIM);
  #left = path('left', RIM);

  connectedCallback() {
    if (this.firstChild) return;
    const svg = document.createElementNS(NS, 'svg');
    svg.setAttribute('viewBox', '0 0 64 64');
    this.#left.setAttribute('stroke-dasharray', '100 100');
    svg.append(this.#track, this.#left, path('face', FACE));
    this.#digits.className = 'digits';
    this.append(svg, this.#digits);
    this.setAttribute('aria-hidden', 'true');
    this.attributeChangedCallback();
  }

  attributeChangedCallback() {
    const number = this.getAttribute('number') ?? '';
    const left = this.getAttribute('left');
    this.#digits.textContent = number;
    this.toggleAttribute('data-long', number.length > 2);
    this.#track.toggleAttribute('hidden', left === null);
    this.#left.toggleAttribute('hidden', left === null);
    this.#left.setAttribute('stroke-dashoffset', String(100 * (1 - Math.max(0, Math.min(1, Number(left))))));
    this.toggleAttribute('data-low', left !== null && Number(left) < 0.25);
  }
}

customElements.define('ww-tile', Tile);
