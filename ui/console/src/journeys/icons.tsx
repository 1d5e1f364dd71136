// What groups of steps look like. A picture stands beside a name, never instead of it.

import { said } from '../words/words.ts';

/** The groups in the order of the palette, each with the lines of its picture. */
const groups: [string, string][] = [
  ['Ask', 'M2.5 3.5h11v7H8l-3 2.7v-2.7H2.5z'],
  ['Authenticate', 'M8 1.8l5 1.9v4.1c0 3-2 5.3-5 6.4-3-1.1-5-3.4-5-6.4V3.7zM5.7 7.9l1.7 1.7 3-3.4'],
  ['Enrol', 'M8 2.3a5.7 5.7 0 1 0 0 11.4A5.7 5.7 0 1 0 8 2.3zM8 5.3v5.4M5.3 8h5.4'],
  ['Sign', 'M3 13l.7-3 7-7 2.3 2.3-7 7zM9.2 4.5l2.3 2.3'],
  ['Flow', 'M2.5 8H6l3.5-4h4M6 8l3.5 4h4'],
  ['Data', 'M6 2.5c-1.4 0-2 .6-2 1.9V6c0 1.2-.4 2-1.5 2C3.6 8 4 8.8 4 10v1.6c0 1.3.6 1.9 2 1.9M10 2.5c1.4 0 2 .6 2 1.9V6c0 1.2.4 2 1.5 2-1.1 0-1.5.8-1.5 2v1.6c0 1.3-.6 1.9-2 1.9'],
  ['Users', 'M8 2.5a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 1 0 0-5.4zM2.8 13.5c.5-2.5 2.4-3.7 5.2-3.7s4.7 1.2 5.2 3.7'],
  ['Devices', 'M5 1.8h6a1 1 0 0 1 1 1v10.4a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V2.8a1 1 0 0 1 1-1zM7 11.7h2'],
  ['Messages', 'M2.3 3.8h11.4v8.4H2.3zM2.5 4.3L8 8.7l5.5-4.4'],
  ['End', 'M4 14V2.5M4 3h8.5l-2 2.7 2 2.8H4'],
];

/** Where a group stands in the palette: one that is not known comes first. */
export const rank = (category: string) => (groups.findIndex(([name]) => said(name) === category) + groups.length + 1) % (groups.length + 1);

export function Icon({ category }: { category: string }) {
  const lines = groups.find(([name]) => said(name) === category)?.[1];
  return lines ? <svg className="jicon" viewBox="0 0 16 16" aria-hidden="true"><path d={lines} /></svg> : null;
}

/** An arrow that turns back, or forth. */
export const Turn = ({ forth }: { forth?: boolean }) => <svg className="jicon" viewBox="0 0 16 16" aria-hidden="true"><path d="M6 3.5L2.8 6.7 6 9.9M3 6.7h6.5a3.5 3.5 0 0 1 0 7H7" transform={forth ? 'matrix(-1 0 0 1 16 0)' : undefined} /></svg>;

export const Glass = () => <svg className="jicon" viewBox="0 0 16 16" aria-hidden="true"><path d="M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 1 0 0-9zM10.2 10.2l3.6 3.6" /></svg>;

/** What opens something to its right, or shuts it back. */
export const Unfold = ({ back }: { back?: boolean }) => <svg className="jicon" viewBox="0 0 16 16" aria-hidden="true"><path d="M3.5 3.5L8 8l-4.5 4.5M8.5 3.5L13 8l-4.5 4.5" transform={back ? 'matrix(-1 0 0 1 16 0)' : undefined} /></svg>;
