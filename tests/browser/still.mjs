/**
 * Waits until nothing on a page is on its way to another look, such as colours when
 * the scheme has changed. What moves for ever is not waited for.
 */
export const still = (page) => page.evaluate(async () => {
  await new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); });
  await Promise.all(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished.catch(() => {})));
});
