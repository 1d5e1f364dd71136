// The pages of the server in a real browser, where no SDK is.

import assert from 'node:assert/strict';

export const pages = {
  async 'a mailed link signs in the page that asked'(fresh, w) {
    const context = await fresh();
    const page = await context.newPage();
    const email = w.facts.user.email;
    await page.goto(`${w.base}/login/demo-web/magic_link_login`);
    await page.fill('input[name=email]', email);
    await page.click('button.primary');
    await page.waitForSelector('[data-waiting]');
    let link;
    for (let i = 0; !link && i < 100; i++) {
      const { messages } = await (await fetch(`${w.base}/dev/inbox/messages?channel=mail&to=${encodeURIComponent(email)}`)).json();
      link = messages.findLast((m) => m.data?.link)?.data.link;
      if (!link) await new Promise((again) => { setTimeout(again, 50); });
    }
    const tab = await context.newPage();
    await tab.goto(link);
    await tab.click('button.primary');
    await tab.waitForSelector('.verdict.yes');
    await page.waitForSelector('text=You are signed in');
    const elsewhere = await (await fresh()).newPage();
    assert.equal((await elsewhere.goto(link)).status(), 410, 'a link that was used');
  },
};
