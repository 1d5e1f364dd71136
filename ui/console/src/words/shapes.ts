// Sentences that the server puts together, in another language. It says them in
// English, as all that read its API get them; here a sentence is recognised by the
// shape of the template that it was made of (catalog/texts.json), and what was
// filled in goes into the same places of the translation. {n} is a number, as is what
// has nothing but figures; what
// stands in quotation marks is somebody's own and stays as it is; anything else that is
// filled in may be words of ours itself.

export type Words = Record<string, string>;
type Shape = { text: string; pattern: RegExp; names: string[]; quoted: boolean[] };

const hole = /\{(\w+)\}/g;
const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

function shape(text: string): Shape {
  const parts = text.split(hole); // what is fixed, a name, what is fixed, …
  const names = parts.filter((_, i) => i % 2 === 1);
  const pattern = parts.map((part, i) => (i % 2 === 0 ? literal(part) : isNumber(part) ? '(\\d+(?:\\.\\d+)?)' : '([^]+?)')).join('');
  return { text, names, pattern: new RegExp(`^${pattern}$`), quoted: names.map((_, i) => parts[2 * i]!.endsWith('"')) };
}

const said = (text: string) => text.replace(hole, '').length;

/** The templates among texts; whoever says most comes first. */
export const shapesOf = (texts: string[]) => texts.filter((text) => text.search(hole) >= 0).sort((a, b) => said(b) - said(a) || (a < b ? -1 : 1)).map(shape);

/** The template that a sentence was made of, and what was filled in. */
export function recognise(shapes: Shape[], sentence: string): { text: string; values: [name: string, value: string, own: boolean][] } | undefined {
  if (sentence.length > 1000) return undefined;
  for (const s of shapes) {
    const m = s.pattern.exec(sentence);
    if (m) return { text: s.text, values: s.names.map((name, i) => [name, m[i + 1]!, s.quoted[i]!]) };
  }
  return undefined;
}

type Tell = { row: (n: string) => string; number: (n: number) => string };
const figures = /^\d+(\.\d+)?$/;
const isNumber = (name: string) => /^n\d*$/.test(name);

/** An answer in the language of words if all of it is ours, with nothing filled in but numbers; else in the words of whoever gave it. */
export function translateOurs(words: Words, shapes: Shape[], answer: string, tell: Tell): string {
  const found = recognise(shapes.filter((s) => s.names.every(isNumber)), answer);
  return words[answer] ?? (found ? translate(words, shapes, answer, tell) : answer);
}

/**
 * A sentence of the server in the language of words. `row` says which row of a list, `number` writes a
 * number. What nobody knows is returned as it is; so is the part of a sentence that nobody knows.
 */
export function translate(words: Words, shapes: Shape[], sentence: string, tell: Tell, depth = 0): string {
  const known = words[sentence];
  if (known !== undefined) return known;
  if (depth > 3) return sentence;
  const inner = (text: string) => translate(words, shapes, text, tell, depth + 1);
  const found = recognise(shapes, sentence);
  if (found) {
    const values = new Map(found.values.map(([name, value, own]) => [name, own ? value : isNumber(name) || figures.test(value) ? tell.number(Number(value)) : inner(value)]));
    return words[found.text]!.replace(hole, (all, name: string) => values.get(name) ?? all);
  }
  const place = /^(.+), row (\d+)$/.exec(sentence);
  if (place && !place[1]!.includes(': ')) return `${inner(place[1]!)}, ${tell.row(place[2]!)}`;
  const at = sentence.indexOf(': ');
  if (at < 0) return sentence;
  return `${inner(sentence.slice(0, at))}: ${inner(sentence.slice(at + 2))}`;
}
