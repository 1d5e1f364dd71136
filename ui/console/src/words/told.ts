// What happened, in words: the server has a sentence for each type of event, in which
// a star of the type is a method, and for each reason that it gives by itself.

export type Told = { events: { type: string; title: string }[]; reasons: { reason: string; title: string }[]; methods: { kind: string; title: string }[] };

/** What a type of event tells; the type itself if the catalog has no words for it. */
export function told(catalog: Told | undefined, type: string): string {
  for (const e of catalog?.events ?? []) {
    if (e.type === type) return e.title;
    const [before, after] = e.type.split('*');
    if (after === undefined || !type.startsWith(before!) || !type.endsWith(after)) continue;
    const method = catalog!.methods.find((m) => m.kind === type.slice(before!.length, type.length - after.length));
    if (method) return e.title.replace('{method}', method.title);
  }
  return type;
}

/** Why it happened; a method, where that is the reason. What the catalog has no words for are somebody's own. */
export const why = (catalog: Told | undefined, reason: string): string =>
  catalog?.reasons.find((r) => r.reason === reason)?.title ?? catalog?.methods.find((m) => m.kind === reason)?.title ?? reason;
