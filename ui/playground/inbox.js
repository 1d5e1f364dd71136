// The inbox of a development server: drawn anew when something comes, and not before,
// so that what is read or copied stays where it is. Times are the reader's.

import { pause, timeOfDay } from '/lib/page.js';

for (const e of document.querySelectorAll('time')) e.textContent = timeOfDay(new Date(e.dateTime), true);

const newest = document.querySelector('article')?.id ?? '';
for (let news = false; !news;) {
  await pause(2000);
  if (document.hidden) continue;
  const answer = await fetch(`/dev/inbox/messages?after=${newest}`).then((r) => r.json()).catch(() => ({ messages: [] })); // the server starts again
  news = answer.messages.length > 0;
}
location.reload();
