// Sentences of the server are known again, each as the template that it was made of,
// and are said in another language with what was filled in.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import ts from 'typescript';
import { doubled } from './words.mjs';

const src = new URL('../src/words/', import.meta.url);
const load = (name) => import(`data:text/javascript;base64,${Buffer.from(ts.transpileModule(readFileSync(new URL(name, src), 'utf8'), { compilerOptions: { target: 'es2022', module: 'es2022' } }).outputText).toString('base64')}`);
const { recognise, shapesOf, translate, translateOurs } = await load('shapes.ts');
const { told, why } = await load('told.ts');
const read = (name) => JSON.parse(readFileSync(new URL(`catalog/${name}.json`, src), 'utf8'));
const texts = read('texts');
const shapes = shapesOf(texts);
const filled = (text) => text.replace(/\{(\w+)\}/g, (_, name) => (/^n\d*$/.test(name) ? '7' : `x-${name}`));

test('each template is known again', () => {
  const known = new Set(texts);
  for (const { text } of shapes) {
    assert.ok(!known.has(filled(text)), text);
    assert.equal(recognise(shapes, filled(text))?.text, text);
  }
  assert.ok(shapes.length > 50);
});

test('each template is said with all that was filled in', () => {
  for (const language of ['de', 'es', 'fr', 'pt', 'ja']) {
    const words = read(language);
    for (const { text } of shapes) {
      const said = translate(words, shapesOf(Object.keys(words)), filled(text), { row: (n) => `row ${n}`, number: String });
      assert.notEqual(said, filled(text), `${language}: ${text}`);
      assert.ok(!/\{(n|text)\d*\}/.test(said), `${language}: ${said}`);
      for (const [value] of filled(text).matchAll(/x-\w+/g)) assert.ok(said.includes(value), `${language}: ${said} lacks ${value}`);
    }
  }
});

test('what is filled in is said, too, if it is ours', () => {
  const words = read('de');
  const de = (sentence) => translate(words, shapesOf(Object.keys(words)), sentence, { row: (n) => `Zeile ${n}`, number: (n) => n.toLocaleString('de') });
  assert.equal(de('Lockout tiers, row 2: Failed attempts is required.'), 'Sperrstufen, Zeile 2: Fehlversuche fehlt.');
  assert.equal(de('Lockout tiers, row 2: Failed attempts must be between 1 and 1000.'), 'Sperrstufen, Zeile 2: Fehlversuche muss zwischen 1 und 1.000 sein.');
  assert.equal(de('This must be at most 3650.'), 'Das darf höchstens 3.650 sein.');
  assert.equal(de('There is no role called "Password".'), 'Es gibt keine Rolle namens „Password“.');
  assert.equal(de('The journey cannot be published: done: Nothing leads here.'), 'Die Journey kann nicht veröffentlicht werden: done: Hierher führt nichts.');
  assert.equal(de('The colour on dark paper is hard to read: its contrast is 1.5, and 4.5 is needed.'), 'Die Farbe ist auf dunklem Papier schwer zu lesen: Ihr Kontrast ist 1,5, nötig sind 4,5.');
  assert.equal(de('FCM answered 401 UNAUTHENTICATED'), 'FCM answered 401 UNAUTHENTICATED');
  assert.equal(de('Password'), 'Passwort');
  const same = Object.fromEntries(texts.map((text) => [text, text]));
  const en = (sentence) => translate(same, shapesOf(texts), sentence, { row: (n) => `row ${n}`, number: (n) => n.toLocaleString('en') });
  assert.equal(en('Not before must be between 1 and 100000.'), 'Not before must be between 1 and 100,000.');
  assert.equal(en('There is no role called "100000".'), 'There is no role called "100000".');
  assert.equal(en('Only pushed requests (RFC 9126).'), 'Only pushed requests (RFC 9126).');
  const answer = (sentence) => translateOurs(words, shapesOf(Object.keys(words)), sentence, { row: String, number: String });
  assert.equal(answer('No answer within 15 seconds.'), 'Keine Antwort binnen 15 Sekunden.');
  assert.equal(answer('Captured in the inbox of development; the provider was not asked.'), words['Captured in the inbox of development; the provider was not asked.']);
  for (const theirs of ['535 5.7.8: Accepted.', 'There is no function x.', 'Password is required.']) assert.equal(answer(theirs), theirs);
  assert.equal(de(`${'x'.repeat(2000)} is required.`), `${'x'.repeat(2000)} is required.`);
});

test('a type of event is told by its sentence, with the method in it; an unknown one is its name', () => {
  const catalog = { methods: [{ kind: 'password', title: 'Passwort' }], events: [{ type: 'auth.*.failed', title: '{method}: stimmte nicht' }, { type: 'push.requested', title: 'Push-Anfrage gesendet' }] };
  assert.equal(told(catalog, 'auth.password.failed'), 'Passwort: stimmte nicht');
  assert.equal(told(catalog, 'push.requested'), 'Push-Anfrage gesendet');
  for (const type of ['auth.smell.failed', 'auth.failed', 'auth.', 'push.lost', '']) assert.equal(told(catalog, type), type);
  assert.equal(told(undefined, 'push.requested'), 'push.requested');
});

test('a reason is told by its words, or by the method that it is; what nobody knows is said as it is', () => {
  const catalog = { methods: [{ kind: 'password', title: 'Passwort' }], events: [], reasons: [{ reason: 'not_me', title: 'Gemeldet: Das war ich nicht' }] };
  assert.deepEqual(['not_me', 'password', 'lost, says Ada', ''].map((reason) => why(catalog, reason)), ['Gemeldet: Das war ich nicht', 'Passwort', 'lost, says Ada', '']);
  assert.equal(why(undefined, 'not_me'), 'not_me');
});

test('a key that stands twice in a file of words is found', () => {
  assert.deepEqual(doubled('{"a": "1", "b \\" {": "{", "a": {"one": "a", "other": "a"}, "a\\u0062": "", "ab" : ""}'), ['a', 'ab']);
  assert.deepEqual(doubled('{"one": {"one": "x: {n}", "other": ["one", "one"]}, "other": "\\\\", "x": {"one": ""}}'), []);
});
