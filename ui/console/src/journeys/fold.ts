// Whether the palette is folded: as whoever works in this browser left it. Until
// they say, it folds by itself when a step is opened where there is little room.

import { useCallback, useState } from 'react';

const kept = 'watchword.palette';
/** Below this, in pixels, palette, canvas and drawer are too much beside each other. */
const roomy = 1500;

export function useFold() {
  const [folded, setFolded] = useState(() => localStorage.getItem(kept) === 'folded');
  const [turned, setTurned] = useState(false); // by hand, and last
  const fold = useCallback((is: boolean, byHand = true) => { localStorage.setItem(kept, is ? 'folded' : 'open'); setFolded(is); setTurned(byHand); }, []);
  /** A step was opened: gives its drawer room, unless somebody has said otherwise. */
  const makeRoom = useCallback(() => { if (innerWidth < roomy && localStorage.getItem(kept) === null) fold(true, false); }, [fold]);
  return { folded, turned, fold, makeRoom };
}
