// Stands for react-remove-scroll, which dialogs and menus of radix use: that one
// writes a style element, which our policy forbids. The page behind is held by a
// class instead.

import { useEffect, type ElementType, type ReactNode } from 'react';

let holders = 0;

export function RemoveScroll({ as: As = 'div', children, enabled = true, allowPinchZoom: _a, shards: _b, removeScrollBar: _c, ...rest }: {
  as?: ElementType; children: ReactNode; enabled?: boolean; allowPinchZoom?: boolean; shards?: unknown; removeScrollBar?: boolean;
}) {
  useEffect(() => {
    if (!enabled) return;
    const page = document.documentElement;
    // The place of a scrollbar stays empty, so that nothing moves; where there was none, none is made.
    if (holders++ === 0) page.classList.toggle('scrolls', page.scrollHeight > page.clientHeight);
    page.classList.add('held');
    return () => { if (--holders === 0) page.classList.remove('held', 'scrolls'); };
  }, [enabled]);
  return <As {...rest}>{children}</As>;
}

RemoveScroll.classNames = { fullWidth: '', zeroRight: '' };
