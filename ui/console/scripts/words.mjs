// Checks that every text of the console is in every language: the keys of
// src/words/*.json are exactly the texts that stand in the code, with the same
// {placeholders}. A text about a count, plural(), has each of the forms that its
// language has; {n} is a count and stands nowhere else. What the server says is held
// to src/words/catalog/texts.json. `--list` prints the texts.

import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const src = new URL('../src/', import.meta.url);
const languages = ['de', 'es', 'fr', 'pt', 'ja'];

/** Texts that are missing fail. */
const strict = true;

/** Maps whose values reach t() through a variable, by file and name. */
const maps = [
  ['session.ts', 'roleNames'], ['session.ts', 'roleTexts'], ['pages/home.tsx', 'nextTitles'], ['pages/home.tsx', 'nextTexts'], ['pages/home.tsx', 'healthTexts'],
  ['pages/events.tsx', 'factNames'], ['pages/webhook.tsx', 'deliveryStates'], ['ui/form.tsx', 'origins'], ['pages/operate.tsx', 'keyStates'], ['pages/user.tsx', 'states'],
  ['journeys/tabs.tsx', 'outcomes'], ['journeys/tabs.tsx', 'verbs'],
];

/** How a comparison of versions marks a step (journeys/tabs.tsx). */
const marks = ['added', 'removed', 'changed'];

/** Texts that stand beside each other and mean different things: no language may say them alike. */
const apart = [['Suspend', 'Lock'], ['Suspended', 'Locked'], ['Block', 'Forget']];

const unquote = (literal) => literal.slice(1, -1).replace(/\\(u[0-9a-fA-F]{4}|n|.)/g, (_, c) => (c === 'n' ? '\n' : c.length > 1 ? String.fromCharCode(parseInt(c.slice(1), 16)) : c));
const literal = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\.)*`/g;
const call = new RegExp(`(?<![\\w.$])t\\(\\s*(${literal.source})`, 'g');

const counted = new RegExp(`(?<![\\w.$])plural\\(\\s*[^'"\`]*?,\\s*(${literal.source}),\\s*(${literal.source})`, 'g');

const files = readdirSync(src, { recursive: true }).filter((name) => /\.tsx?$/.test(name)).map((name) => [name, readFileSync(new URL(name, src), 'utf8')]);

/** Texts about a count: the English one for many, and for one. */
export const plurals = new Map(files.flatMap(([, text]) => [...text.matchAll(counted)].map((m) => [unquote(m[2]), unquote(m[1])])));

export function texts() {
  const found = new Set(marks);
  for (const [, text] of files) for (const m of text.matchAll(call)) found.add(unquote(m[1]));
  for (const [file, name] of maps) {
    const body = readFileSync(new URL(file, src), 'utf8').match(new RegExp(`const ${name}\\b[^=]*= ([\\s\\S]*?)};`))?.[1];
    if (!body) throw new Error(`words: ${file} has no ${name} any more`);
    // The last literal of each entry is its text.
    for (const entry of body.matchAll(/\w+: (\[[^\]]*\]|'(?:[^'\\]|\\.)*')/g)) found.add(unquote(entry[1].match(literal).at(-1)));
  }
  return [...found].filter((text) => !plurals.has(text)).sort();
}

const holes = (text) => [...new Set(text.match(/\{\w+\}/g))].sort().join(' ');

/** The keys that an object of a JSON text has twice: JSON.parse takes the last and says nothing. */
export function doubled(text) {
  const out = [];
  const open = []; // the keys of each object that we are in; null for a list
  for (const [token, key] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') open.push(token === '{' ? new Set() : null);
    else if (token === '}' || token === ']') open.pop();
    else if (key !== undefined) {
      const name = JSON.parse(key);
      if (open.at(-1).has(name)) out.push(name);
      open.at(-1).add(name);
    }
  }
  return out;
}

/** What is wrong with the forms that a language has for a text about a count. */
function misformed(language, text, forms) {
  const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  if (typeof forms !== 'object') return [`${language}: not in the forms ${categories.join(', ')}: ${text}`];
  const out = [];
  for (const c of categories) if (typeof forms[c] !== 'string' || forms[c] === '') out.push(`${language}: missing form ${c}: ${text}`);
  for (const [c, form] of Object.entries(forms)) {
    if (!categories.includes(c)) out.push(`${language}: has no form ${c}: ${text}`);
    // One of something may be said without its figure.
    else if (holes(form) !== holes(text) && !(c === 'one' && holes(`${form} {n}`) === holes(text))) out.push(`${language}: other placeholders in the form ${c}: ${text}`);
  }
  return out;
}

/** What is wrong with what a language says of the server's catalog, whose texts a test of the server keeps in texts.json. */
function catalogProblems(language) {
  const read = (name) => JSON.parse(readFileSync(new URL(`words/catalog/${name}.json`, src), 'utf8'));
  const wanted = read('texts');
  const words = read(language);
  return [
    ...wanted.filter((text) => typeof words[text] !== 'string' || words[text] === '').map((text) => `${language}: missing of the catalog: ${text}`),
    ...wanted.filter((text) => words[text] && holes(words[text]) !== holes(text)).map((text) => `${language}: other placeholders of the catalog: ${text}`),
    ...Object.keys(words).filter((text) => !wanted.includes(text)).map((text) => `${language}: unused of the catalog: ${text}`),
  ];
}

function check() {
  const wanted = texts();
  const problems = [];
  const missing = [];
  for (const [name, text] of files) {
    const calls = [...text.matchAll(/(?<![\w.$])plural\(/g)].length - (name === 'words/words.ts' ? 1 : 0);
    if (calls !== [...text.matchAll(counted)].length) problems.push(`${name}: a call of plural() without two literal texts`);
  }
  for (const text of wanted) if (text.includes('{n}')) problems.push(`{n} is a count, which plural() says: ${text}`);
  for (const language of languages) {
    const file = new URL(`words/${language}.json`, src);
    const words = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
    for (const text of wanted) {
      if (typeof words[text] !== 'string' || words[text] === '') missing.push(`${language}: missing: ${text}`);
      else if (holes(words[text]) !== holes(text)) problems.push(`${language}: other placeholders: ${text}`);
    }
    for (const text of plurals.keys()) {
      if (words[text] === undefined) missing.push(`${language}: missing: ${text}`);
      else problems.push(...misformed(language, text, words[text]));
    }
    for (const [a, b] of apart) if (words[a] === words[b]) problems.push(`${language}: not told apart: ${a}, ${b}`);
    problems.push(...catalogProblems(language));
    for (const name of [`${language}.json`, `catalog/${language}.json`]) for (const text of doubled(readFileSync(new URL(`words/${name}`, src), 'utf8'))) problems.push(`${name}: twice: ${text}`);
    for (const text of Object.keys(words)) if (!wanted.includes(text) && !plurals.has(text)) problems.push(`${language}: unused: ${text}`);
  }
  return { problems, missing };
}

if (realpathSync(process.argv[1]) !== fileURLToPath(import.meta.url)) {
  // A test reads parts of this.
} else if (process.argv.includes('--list')) {
  for (const text of texts()) console.log(text);
  for (const [many, one] of plurals) console.log(`${one} / ${many}`);
} else {
  const { problems, missing } = check();
  for (const p of [...problems, ...missing]) console.error(`words: ${p}`);
  process.exitCode = problems.length > 0 || (strict && missing.length > 0) ? 1 : 0;
}
