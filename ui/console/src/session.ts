// The administrator who is signed in, for pages that ask what they may do.

import { createContext, useContext } from 'react';
import type { Role, Session } from './api/types.ts';

export class Mine {
  readonly session: Session;
  constructor(session: Session) { this.session = session; }
  get role(): Role { return this.session.administrator!.role; }
  /** Whether one of the roles is theirs; the owner has every one. */
  may(...roles: Role[]) { return this.role === 'owner' || roles.includes(this.role); }
}

export const SessionContext = createContext<Mine | null>(null);
export const useMine = () => useContext(SessionContext)!;
