// Checks that every text of the console is in every language: the keys of
// src/words/*.json are exactly the texts that stand in the code, with the same
// {placeholders}. `--list` prints the texts.

import { existsSync, readFileSync, readdirSync } from 'node:fs';

const src = new URL('../src/', import.meta.url);
const languages = ['de', 'es', 'fr', 'pt', 'ja'];

/** Texts that are missing fail. */
const strict = true;

/** Maps whose values reach t() through a variable, by file and name. */
const maps = [
  ['ui/form.tsx', 'origins'], ['pages/operate.tsx', 'keyStates'], ['pages/user.tsx', 'states'],
  ['journeys/tabs.tsx', 'outcomes'], ['journeys/tabs.tsx', 'verbs'],
];

/** How a comparison of versions marks a step (journeys/tabs.tsx). */
const marks = ['added', 'removed', 'changed'];

const unquote = (literal) => literal.slice(1, -1).replace(/\\(u[0-9a-fA-F]{4}|n|.)/g, (_, c) => (c === 'n' ? '\n' : c.length > 1 ? String.fromCharCode(parseInt(c.slice(1), 16)) : c));
const literal = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\.)*`/g;
const call = new RegExp(`(?<![\\w.$])t\\(\\s*(${literal.source})`, 'g');

export function texts() {
  const found = new Set(marks);
  for (const name of readdirSync(src, { recursive: true })) {
    if (!/\.tsx?$/.test(name)) continue;
    for (const m of readFileSync(new URL(name, src), 'utf8').matchAll(call)) found.add(unquote(m[1]));
  }
  for (const [file, name] of maps) {
    const body = readFileSync(new URL(file, src), 'utf8').match(new RegExp(`const ${name}\\b[^=]*= ([\\s\\S]*?)};`))?.[1];
    if (!body) throw new Error(`words: ${file} has no ${name} any more`);
    // The last literal of each entry is its text.
    for (const entry of body.matchAll(/\w+: (\[[^\]]*\]|'(?:[^'\\]|\\.)*')/g)) found.add(unquote(entry[1].match(literal).at(-1)));
  }
  return [...found].sort();
}

const holes = (text) => [...new Set(text.match(/\{\w+\}/g))].sort().join(' ');

function check() {
  const wanted = texts();
  const problems = [];
  const missing = [];
  for (const language of languages) {
    const file = new URL(`words/${language}.json`, src);
    const words = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
    for (const text of wanted) {
      if (typeof words[text] !== 'string' || words[text] === '') missing.push(`${language}: missing: ${text}`);
      else if (holes(words[text]) !== holes(text)) problems.push(`${language}: other placeholders: ${text}`);
    }
    for (const text of Object.keys(words)) if (!wanted.includes(text)) problems.push(`${language}: unused: ${text}`);
  }
  return { problems, missing };
}

if (process.argv.includes('--list')) {
  for (const text of texts()) console.log(text);
} else {
  const { problems, missing } = check();
  for (const p of [...problems, ...missing]) console.error(`words: ${p}`);
  process.exitCode = problems.length > 0 || (strict && missing.length > 0) ? 1 : 0;
}
