// The administrator who is signed in, for pages that ask what they may do.

import { createContext, useContext } from 'react';
import type { Role, Session } from './api/types.ts';
import { t } from './words/words.ts';

/** A call of the API as its table names it: "PUT /settings". A test looks whether there is one such. */
export type Call = `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`;

export class Mine {
  readonly session: Session;
  private readonly calls: Set<string>;
  constructor(session: Session) { this.session = session; this.calls = new Set(session.may); }
  get role(): Role { return this.session.administrator!.role; }
  /** Whether the server would let them make a call. Who may what is the server's table, and no other. */
  can(call: Call) { return this.calls.has(call); }
}

const roleNames: Record<Role, string> = { owner: 'Owner', security_admin: 'Security administrator', application_admin: 'Application administrator', helpdesk: 'Helpdesk', auditor: 'Auditor' };
const roleTexts: Record<Role, string> = {
  owner: 'May do everything, and says who administrates this server.', security_admin: 'Sets methods, providers, keys and webhooks, locks and unlocks users, and reads the record.',
  application_admin: 'Sets up applications, clients, journeys and branding.', helpdesk: 'Finds users and helps them: unlocks, temporary passwords and codes, devices, sessions.', auditor: 'Reads everything and exports the record. Changes nothing.',
};
export const roleName = (r: Role) => t(roleNames[r] ?? r);
export const roleText = (r: Role) => t(roleTexts[r] ?? '');

export const SessionContext = createContext<Mine | null>(null);
export const useMine = () => useContext(SessionContext)!;
