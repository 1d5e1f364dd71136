// What the scripts that answer a prompt share: a form with data-proof holds what the
// prompt says, a script fills in its fields, and it is posted like any other.

/**
 * @typedef {object} Step
 * @property {HTMLFormElement} form
 * @property {Record<string, any>} told  data of the prompt
 * @property {string} place  under which this browser keeps what belongs to the application
 * @property {HTMLButtonElement} go
 * @property {(name: string, value: string) => void} put
 * @property {(what: string) => void} say  shows one text and hides the others; '' hides all
 * @property {() => void} hand  posts the form
 * @property {(option: string) => void} leave  answers by an option instead
 */

/** @param {HTMLFormElement} form @returns {Step} */
export function stepOf(form) {
  const put = (/** @type {string} */ name, /** @type {string} */ value) => {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = value;
  };
  for (const e of form.querySelectorAll('[data-scripted]')) if (e instanceof HTMLElement) e.hidden = false;
  return {
    form, put,
    told: JSON.parse(form.dataset.prompt || '{}'),
    place: `page/${form.dataset.app ?? ''}`,
    go: /** @type {HTMLButtonElement} */ (form.querySelector('[data-go]')),
    say(what) {
      for (const e of form.querySelectorAll('[data-say]')) {
        if (!(e instanceof HTMLElement)) continue;
        e.hidden = e.dataset.say !== what;
        if (!e.hidden && e.tabIndex === -1) e.focus();
      }
    },
    hand: () => form.submit(),
    leave(option) {
      put('option', option);
      form.submit();
    },
  };
}

/** Whether the page says that the last answer was refused: nothing begins by itself then. */
export const refused = () => Boolean(document.querySelector('#problem'));
