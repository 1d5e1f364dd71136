import type { Journey } from './api.ts';
export function TryOut(_: { journey: Journey }) { return null; }
export function Runs(_: { journey: Journey }) { return null; }
export function Versions(_: { journey: Journey; etag: string; reload: () => void }) { return null; }
export function Code(_: { journey: Journey }) { return null; }
