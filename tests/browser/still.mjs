/**
 * Waits until nothing on a page is on its way to another look, such as colours when
 * the scheme has changed. What moves for ever is not waited for.
 */
export const still = (page) => page.evaluate(async () => {
  await new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); });
  await Promise.all(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished.catch(() => {})));
});

/** Shows everything that is drawn on a canvas, and waits until all of it stands still. */
export async function inView(page) {
  await page.locator('.react-flow__controls-fitview').click();
  await page.evaluate(() => new Promise((done) => {
    let [was, same] = ['', 0];
    const look = () => {
      const now = [...document.querySelectorAll('.react-flow__viewport, .react-flow__node')].map((e) => `${e.style.transform} ${e.offsetWidth} ${e.offsetHeight}`).join();
      same = now === was ? same + 1 : 0;
      was = now;
      if (same > 5) done(); else requestAnimationFrame(look);
    };
    look();
  }));
}
