// What the simulated phone says in the language of who frames it (?lang=de): in the
// words of the phone app, whose lists it reads. English stands in the page. Few of
// its texts are no text of that app; these are here.

/** @typedef {'de' | 'es' | 'fr' | 'pt' | 'ja'} Other */

/** The phone app's name for what is said, by the English text. @type {Record<string, string>} */
const same = {
  'Set up this phone': 'add.go', 'Set up': 'go', 'Its keys are made here and cannot leave.': 'add.invited', 'Making keys…': 'add.keys',
  'The server does not answer. Try again.': 'trouble.lost', 'This phone is set up.': 'add.done', 'A code came by mail and was entered.': 'sent',
  'Approve on your other phone': 'request.add', 'Approve on {device}. The number is {n}.': 'enrol.other', 'That phone is gone': 'lost.title', Cancel: 'back',
  'Which phone may approve?': 'enrol.which', 'Your phones': 'account.phones', 'Ask this phone': 'go',
  'Nothing to approve': 'home.none', Offline: 'past.failed', 'Requests will not reach this phone.': 'trouble.offline', 'Use another address': 'add.mailgo',
  asks: 'fact.app', 'Are you signing in?': 'request.inq', 'Do you approve this?': 'request.payq', '{app} asks: are you signing in? {browser}, {place}.': 'request.said',
  Place: 'fact.where', Browser: 'fact.with', Time: 'fact.when', '{time} left': 'request.left', 'This computer': 'place.here', 'Local network': 'place.near',
  'Number in the browser': 'number.type', 'Which number is in the browser?': 'number.choose', 'Choose the number in the browser.': 'number.choose', 'Enter the {n} digits from the browser.': 'number.missing',
  'Not me': 'deny', Approve: 'approve', 'Signing…': 'request.sending', Deny: 'deny',
  'Did you start this?': 'no.title', 'Either way, nobody is signed in.': 'done.denied', 'No, it was not me': 'no.notme', 'Yes, by mistake': 'no.deny', Back: 'back',
  '“Not me” also stops requests to this address for a while.': 'no.text', Done: 'close', Approved: 'past.approved', '{app} has your answer.': 'done.in',
  'That did not match': 'past.failed', 'The request is closed. Start again in the browser.': 'done.wrong', Denied: 'past.denied', 'Nobody was signed in.': 'done.denied',
  Reported: 'past.not_me', 'Nobody was signed in. Requests to this address stop for a while.': 'done.notme', 'Not approved': 'past.failed', 'The server refused.': 'done.failed',
  'No connection': 'past.failed', 'The server did not hear the answer.': 'trouble.lost', 'This request is over': 'push.over', 'It was cancelled in the browser or has run out.': 'request.over',
};

/** What the phone app has no words for. @type {Record<string, Record<Other, string>>} */
const own = {
  'E-mail': { de: 'E-Mail', es: 'Correo electrónico', fr: 'E-mail', pt: 'E-mail', ja: 'メールアドレス' },
  'Enter an e-mail address.': { de: 'Geben Sie eine E-Mail-Adresse ein.', es: 'Introduzca una dirección de correo.', fr: 'Saisissez une adresse e-mail.', pt: 'Introduza um endereço de e-mail.', ja: 'メールアドレスを入力してください。' },
  'That is not an e-mail address.': { de: 'Das ist keine E-Mail-Adresse.', es: 'Eso no es una dirección de correo.', fr: 'Ce n’est pas une adresse e-mail.', pt: 'Isso não é um endereço de e-mail.', ja: 'メールアドレスではありません。' },
  'The phone was not set up.': { de: 'Das Telefon wurde nicht eingerichtet.', es: 'El teléfono no se ha configurado.', fr: 'Le téléphone n’a pas été configuré.', pt: 'O telefone não foi configurado.', ja: 'スマートフォンは設定されませんでした。' },
  'your other phone': { de: 'Ihrem anderen Telefon', es: 'su otro teléfono', fr: 'votre autre téléphone', pt: 'o seu outro telefone', ja: '別のスマートフォン' },
  'A new address needs no other phone.': { de: 'Eine neue Adresse braucht kein anderes Telefon.', es: 'Una dirección nueva no necesita otro teléfono.', fr: 'Une nouvelle adresse n’a besoin d’aucun autre téléphone.', pt: 'Um endereço novo não precisa de outro telefone.', ja: '新しいアドレスなら、別のスマートフォンは必要ありません。' },
  'The phone': { de: 'Das Telefon', es: 'El teléfono', fr: 'Le téléphone', pt: 'O telefone', ja: 'スマートフォン' },
  'The next request': { de: 'Die nächste Anfrage', es: 'La próxima solicitud', fr: 'La prochaine demande', pt: 'O próximo pedido', ja: '次のリクエスト' },
  'You answer': { de: 'Sie antworten', es: 'Responde usted', fr: 'Vous répondez', pt: 'Responde você', ja: '自分で答える' },
  'Wrong number': { de: 'Falsche Zahl', es: 'Número incorrecto', fr: 'Mauvais nombre', pt: 'Número errado', ja: '違う番号' },
  'Phone offline': { de: 'Telefon offline', es: 'Teléfono sin red', fr: 'Téléphone hors ligne', pt: 'Telefone sem rede', ja: 'スマートフォンがオフライン' },
};

/** @type {Record<string, string>} */
let words = {};
/** The language that is spoken. */
export let language = 'en';

/** Speaks a language if the phone app does, else English. @param {string} wanted */
export async function speak(wanted) {
  if (!/^(de|es|fr|pt|ja)$/.test(wanted)) return;
  const r = await fetch(`/authenticator/lang/${wanted}.json`);
  words = await r.json();
  language = wanted;
  document.documentElement.lang = wanted;
}

/**
 * A text of the phone in the language that is spoken, with {slots} filled.
 * @param {string} english
 * @param {Record<string, string | number>} [slots]
 */
export function say(english, slots = {}) {
  const text = language === 'en' ? english : own[english]?.[/** @type {Other} */ (language)] ?? words[same[english] ?? ''];
  if (text === undefined) throw new Error(`the phone has no words for ${english}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(slots[name] ?? ''));
}

/** Says what stands in marked elements of a view, in their place. @template {ParentNode} T @param {T} view @returns {T} */
export function said(view) {
  for (const e of view.querySelectorAll('[data-say]')) e.textContent = say(e.textContent?.trim() ?? '');
  return view;
}
