// The few parts that every page is made of.

import { createContext, useCallback, useContext, useEffect, useId, useLayoutEffect, useRef, useState, type ReactNode, type RefObject } from 'react';
import { AlertDialog, Dialog, DropdownMenu, Tabs as RTabs } from 'radix-ui';
import { Problem } from '../api/client.ts';
import { useSend, type Send } from '../api/query.ts';
import { misplaced } from '../api/passkey.ts';
import { roleName, useMine } from '../session.ts';
import { ago, said, t, time } from '../words/words.ts';
import { Refused, refusalOf, useRefused } from './refused.ts';
import { askBy, go, href, moved } from './route.ts';
import type { Theirs } from './theirs.ts';

/** A link to a place in the console. */
export function Link({ to, children, className, ...rest }: { to: string; children: ReactNode; className?: string; 'aria-current'?: 'page'; title?: string }) {
  return (
    <a href={href(to)} className={className} {...rest} onClick={(e) => {
      if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
      e.preventDefault();
      go(to);
    }}>{children}</a>
  );
}

type ButtonProps = React.ButtonHTMLAttributes<HTMLButtonElement> & { look?: 'primary' | 'quiet' | 'danger'; why?: string | false };
/** A button. `why` says, beside it, why it can do nothing now; while it does, the button is closed. */
export function Button({ look, className, type = 'button', why, disabled, ...rest }: ButtonProps) {
  const id = useId();
  return <>{why && <span className="whynot" id={id}>{why}</span>}<button type={type} className={`btn ${look ?? ''} ${className ?? ''}`} aria-describedby={why ? id : undefined} disabled={disabled || Boolean(why)} {...rest} /></>;
}

/** Why nothing can be saved of a form in which nothing was changed. */
export const unchanged = (dirty: boolean) => !dirty && t('Nothing has changed.');

/** What an error says, in words that help. */
export function wordsOf(e: unknown): string {
  if (e instanceof Problem) {
    if (e.code === 'offline') return t('The server cannot be reached. Check the connection and try again.');
    if (e.code === 'step_up_required') return t('This was not confirmed, so nothing changed.');
    if (e.status >= 500) return t('Something is broken on the server. Try again in a moment.');
    if (e.status === 404 && e.message.startsWith('no such ')) return t('This is not there any more.');
    return said(e.message) || t('That did not work.');
  }
  if (misplaced(e)) return t('Browsers have no passkeys for this address. Open the server by its name, a development server by localhost (--url http://localhost:8080).');
  return t('That did not work.');
}

export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  if (!error) return null;
  return (
    <div className="note no" role="alert">
      <p>{wordsOf(error)}</p>
      {again && <Button onClick={again}>{t('Try again')}</Button>}
    </div>
  );
}

type FormProps = React.FormHTMLAttributes<HTMLFormElement> & { error: unknown };
/** A form that the server may refuse: its fields mark what of them was refused (`at`), and its FormError says the rest. */
export const Form = ({ error, children, ...rest }: FormProps) => <Refused.Provider value={refusalOf(error)}><form {...rest}>{children}</form></Refused.Provider>;

/** The control of a field, or of the row of a list, that was refused. */
const controlOf = (marked: Element) => marked.querySelector<HTMLElement>('[aria-invalid=true]') ?? marked.querySelector<HTMLElement>('input, select, textarea, button');

/**
 * Why a form was refused. What is wrong with a field stands at the field, and the
 * first such field gets the focus; what is wrong with anything that the form does not
 * show stands here, by its name. What somebody else stored meanwhile is listed if it
 * can be compared; it can be had instead, or what was typed kept over it: the form
 * stands still until that is done, so that nothing is stored in between.
 */
export function FormError({ reload, keep, compare }: { reload?: () => unknown; keep?: () => unknown; compare?: () => Promise<Theirs[]> }) {
  const { error, problems } = useContext(Refused);
  const box = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState<string[]>([]);
  useLayoutEffect(() => {
    const marked = error ? [...box.current!.closest('form')!.querySelectorAll<HTMLElement>('[data-refused]')] : [];
    setShown(marked.map((field) => field.dataset.refused!));
    if (marked.length > 0) controlOf(marked[0]!)?.focus();
  }, [error]);
  const late = error instanceof Problem && (error.status === 412 || error.status === 428); // 428: where nothing was, there is something
  const [others, setOthers] = useState<Theirs[]>([]);
  const compared = useRef(compare);
  compared.current = compare;
  useEffect(() => {
    let over = false;
    setOthers([]);
    if (late) void compared.current?.().then((list) => { if (!over) setOthers(list); });
    return () => { over = true; };
  }, [error, late]);
  const settle = async (how: () => unknown) => {
    const form = box.current!.closest('form')!;
    form.inert = true;
    try { await how(); } finally { form.inert = false; form.querySelector<HTMLElement>('[type=submit]')?.focus(); }
  };
  if (!error) return null;
  const rest = Object.entries(problems).filter(([path]) => !shown.some((at) => path === at || path.startsWith(`${at}.`)));
  const whole = late && keep ? t('Somebody else changed this meanwhile. Nothing of yours is stored yet: keep it and look at it beside what they changed, or take theirs alone.') : wordsOf(error);
  return (
    <div ref={box} className="note no" role="alert">
      <p>{Object.keys(problems).length === 0 ? whole : shown.length > 0 ? t('This was refused. Look at what is marked.') : t('This was refused.')}</p>
      {rest.length > 0 && <ul className="problems">{rest.map(([path, text]) => <li key={path}>{path && <><code>{path}</code>: </>}{text}</li>)}</ul>}
      {others.length > 0 && <><p>{t('They changed:')}</p><dl className="facts">{others.map((o) => [<dt key={o.label}>{o.label}</dt>, <dd key={`${o.label}v`}>{o.value}</dd>])}</dl></>}
      {late && <div className="acts">{keep && <Button onClick={() => void settle(keep)}>{t('Keep what I changed')}</Button>}{reload && <Button onClick={() => void settle(reload)}>{t('Load what is there')}</Button>}</div>}
    </div>
  );
}

export const Loading = ({ what }: { what?: string }) => <p className="loading" role="status">{what ?? t('Loading…')}</p>;

export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return <div className="empty"><h2>{title}</h2>{children && <p>{children}</p>}{action}</div>;
}

/** The head of a page: where one is, what it is called, what can be done. */
export function Head({ title, back, children, lead }: { title: string; back?: [string, string]; children?: ReactNode; lead?: ReactNode }) {
  const name = useRef<HTMLHeadingElement>(null);
  useEffect(() => { document.title = `${title} · Watchword`; }, [title]);
  // Whoever came here by a link or a key goes on from the page's name, unless they are busy with something on it.
  useEffect(() => {
    const busy = document.activeElement;
    if (moved() && (!busy || busy === document.body || busy.closest('.side'))) name.current?.focus({ preventScroll: true });
  }, []);
  return (
    <header className="head">
      <div>
        {back && <Link to={back[0]} className="back">← {back[1]}</Link>}
        <h1 ref={name} tabIndex={-1}>{title}</h1>
        {lead && <p className="lead">{lead}</p>}
      </div>
      {children && <div className="acts">{children}</div>}
    </header>
  );
}

export const Card = ({ title, children, acts, className }: { title?: string; children: ReactNode; acts?: ReactNode; className?: string }) => (
  <section className={`card ${className ?? ''}`}>
    {(title || acts) && <div className="card-head">{title && <h2>{title}</h2>}{acts}</div>}
    {children}
  </section>
);

/** Says why what stands below is closed, to whose role does not allow to change it. */
export function ReadOnly() {
  const { administrator } = useMine().session;
  return <p className="readonly"><span aria-hidden="true">⚿ </span>{t('You may look at this, not change it: your role is {role}.', { role: roleName(administrator!.role) })}</p>;
}

/**
 * A labelled control; `children` gets the ids that tie them together. `at` is its place
 * in what is sent; `parts`: it holds fields of its own, which have places of their own.
 */
export function Field({ label, help, problem: given, notes, required, children, marker, at, parts }: {
  label: ReactNode; help?: ReactNode; problem?: string; notes?: ReactNode; required?: boolean; marker?: ReactNode; at?: string; parts?: boolean;
  children: (ids: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode;
}) {
  const id = useId();
  const refused = useRefused(at, !parts);
  const problem = given ?? refused;
  const about = [help && `${id}h`, problem && `${id}p`].filter(Boolean).join(' ') || undefined;
  return (
    <div className="fieldrow" data-refused={refused && at}>
      <div className="fieldlabel"><label htmlFor={id}>{label}{required && <span aria-hidden="true"> *</span>}</label>{marker}</div>
      {children({ id, 'aria-describedby': about, ...(problem ? { 'aria-invalid': true as const } : {}) })}
      {help && <p className="help" id={`${id}h`}>{help}</p>}
      {problem && <p className="problem" id={`${id}p`}>{problem}</p>}
      {notes}
    </div>
  );
}

export function TextField({ label, value, onChange, help, problem, required, at, type = 'text', ...rest }: {
  at?: string; label: string; value: string; onChange: (v: string) => void; help?: string; problem?: string; required?: boolean; type?: string; autoFocus?: boolean; autoComplete?: string; placeholder?: string; maxLength?: number; disabled?: boolean; min?: number; max?: number; lang?: string;
}) {
  return <Field label={label} help={help} problem={problem} required={required} at={at}>{(ids) => <input {...ids} {...rest} type={type} required={required} value={value} onChange={(e) => onChange(e.target.value)} />}</Field>;
}

export function TextArea({ label, value, onChange, help, problem, at, ...rest }: {
  at?: string; label: string; value: string; onChange: (v: string) => void; help?: string; problem?: string; rows?: number; maxLength?: number; disabled?: boolean; lang?: string; className?: string;
}) {
  return <Field label={label} help={help} problem={problem} at={at}>{(ids) => <textarea {...ids} rows={3} {...rest} value={value} onChange={(e) => onChange(e.target.value)} />}</Field>;
}

export function Select({ label, value, onChange, options, help, disabled, at }: { at?: string; label: string; value: string; onChange: (v: string) => void; options: [string, string][]; help?: string; disabled?: boolean }) {
  return <Field label={label} help={help} at={at}>{(ids) => <select {...ids} disabled={disabled} value={value} onChange={(e) => onChange(e.target.value)}>{options.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select>}</Field>;
}

/** A dialog over the page; it keeps the focus and gives it back. One without `onClose` ends by what it asks for; `bare` hides the page meanwhile. */
export function Modal({ title, open, onClose, children, wide, bare }: { title: string; open: boolean; onClose?: () => void; children: ReactNode; wide?: boolean; bare?: boolean }) {
  return (
    <Dialog.Root open={open} onOpenChange={(is) => { if (!is) onClose?.(); }}>
      <Dialog.Portal>
        <Dialog.Overlay className={`veil ${bare ? 'bare' : ''}`} />
        <Dialog.Content className={`dialog ${wide ? 'wide' : ''}`} aria-describedby={undefined}>
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          {children}
          {onClose && <Dialog.Close className="btn quiet close" aria-label={t('Close')}>✕</Dialog.Close>}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** A drawer at the side, for one thing of a list. */
export function Drawer({ title, open, onClose, children }: { title: string; open: boolean; onClose: () => void; children: ReactNode }) {
  return (
    <Dialog.Root open={open} onOpenChange={(is) => { if (!is) onClose(); }}>
      <Dialog.Portal>
        <Dialog.Overlay className="veil" />
        <Dialog.Content className="drawer" aria-describedby={undefined}>
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          {children}
          <Dialog.Close className="btn quiet close" aria-label={t('Close')}>✕</Dialog.Close>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

type Question = { title: string; text: string; yes: string; no?: string; danger?: boolean; answer: (yes: boolean) => void };
type Says = { toast: (text: string, bad?: boolean) => void; confirm: (q: Omit<Question, 'answer'>) => Promise<boolean> };
const Voice = createContext<Says>({ toast: () => {}, confirm: async () => false });
export const useVoice = () => useContext(Voice);

/** Tells what happened, and asks before what cannot be undone. */
export function Speaker({ children }: { children: ReactNode }) {
  const [said, setSaid] = useState<{ text: string; bad: boolean; n: number } | null>(null);
  const [question, setQuestion] = useState<Question | null>(null);
  const n = useRef(0);
  const toast = useCallback((text: string, bad = false) => setSaid({ text, bad, n: ++n.current }), []);
  const confirm = useCallback((q: Omit<Question, 'answer'>) => new Promise<boolean>((answer) => setQuestion({ ...q, answer })), []);
  useEffect(() => askBy(() => confirm({ title: t('Leave without saving?'), text: t('What you changed here is not saved and would be lost.'), yes: t('Leave'), no: t('Stay'), danger: true })), [confirm]);
  useEffect(() => {
    if (!said || said.bad) return;
    const timer = setTimeout(() => setSaid(null), 6000);
    return () => clearTimeout(timer);
  }, [said]);
  const close = (yes: boolean) => { question?.answer(yes); setQuestion(null); };
  return (
    <Voice.Provider value={{ toast, confirm }}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {said && <div className={`toast ${said.bad ? 'no' : 'yes'}`}><span>{said.text}</span><Button look="quiet" aria-label={t('Close')} onClick={() => setSaid(null)}>✕</Button></div>}
      </div>
      <AlertDialog.Root open={question !== null} onOpenChange={(is) => { if (!is) close(false); }}>
        <AlertDialog.Portal>
          <AlertDialog.Overlay className="veil" />
          {question && (
            <AlertDialog.Content className="dialog">
              <AlertDialog.Title className="dialog-title">{question.title}</AlertDialog.Title>
              <AlertDialog.Description>{question.text}</AlertDialog.Description>
              <div className="acts end">
                <AlertDialog.Cancel className="btn">{question.no ?? t('Cancel')}</AlertDialog.Cancel>
                <AlertDialog.Action className={`btn ${question.danger ? 'danger' : 'primary'}`} onClick={() => close(true)}>{question.yes}</AlertDialog.Action>
              </div>
            </AlertDialog.Content>
          )}
        </AlertDialog.Portal>
      </AlertDialog.Root>
    </Voice.Provider>
  );
}

/** Does something, asks before if told to, and says how it went; null: it did not happen. */
export function useDo(...stale: string[]) {
  const send = useSend<Record<string, unknown>>(...stale);
  const { toast, confirm } = useVoice();
  return async (s: Send, said: string, ask?: [string, string, string]) => {
    if (ask && !await confirm({ title: ask[0], text: ask[1], yes: ask[2], danger: true })) return null;
    try { const { value } = await send.mutateAsync(s); if (said) toast(said); return value || {}; } catch (e) { toast(wordsOf(e), true); return null; }
  };
}

/** Keeps what is chosen in the middle of a row that scrolls on a narrow screen. */
export function useMiddle(row: RefObject<HTMLElement | null>, chosen: string, at: string) {
  useEffect(() => {
    const here = row.current?.querySelector<HTMLElement>(chosen);
    if (row.current && here) row.current.scrollLeft += here.getBoundingClientRect().left - row.current.getBoundingClientRect().left - (row.current.clientWidth - here.offsetWidth) / 2;
  }, [row, chosen, at]);
}

export function Tabs({ tabs, at, onChange, label }: { tabs: [string, string, ReactNode][]; at: string; onChange: (id: string) => void; label: string }) {
  const row = useRef<HTMLDivElement>(null);
  useMiddle(row, '[data-state=active]', at);
  return (
    <RTabs.Root value={at} onValueChange={onChange} activationMode="manual">
      <RTabs.List ref={row} className="tabs" aria-label={label}>{tabs.map(([id, text]) => <RTabs.Trigger key={id} value={id} className="tab">{text}</RTabs.Trigger>)}</RTabs.List>
      {tabs.map(([id, , body]) => <RTabs.Content key={id} value={id} className="tabbody">{id === at && body}</RTabs.Content>)}
    </RTabs.Root>
  );
}

export type MenuItem = { text: string; run: () => void; danger?: boolean; disabled?: boolean } | null;
/** `name` says whose menu it is, where there are several. */
export function Menu({ label, name, items, look = '' }: { label: ReactNode; name?: string; items: MenuItem[]; look?: string }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className={`btn ${look}`} aria-label={name}>{label}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4}>
          {items.map((m, i) => m
            ? <DropdownMenu.Item key={m.text} className={`menuitem ${m.danger ? 'danger' : ''}`} disabled={m.disabled} onSelect={m.run}>{m.text}</DropdownMenu.Item>
            : <DropdownMenu.Separator key={i} className="menusep" />)}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** How long ago or until when; the exact time for who points at it. */
export const Ago = ({ at }: { at: string | null | undefined }) => (at ? <time className="ago" dateTime={at} title={time(at, 'medium')}>{ago(at)}</time> : <>—</>);

const marks: Record<string, string> = { yes: '✓', no: '✕', wait: '◷', off: '–', hint: '⚠' };
/** A state: a sign, a colour and a word. */
export const State = ({ is, children }: { is: 'yes' | 'no' | 'wait' | 'off' | 'hint'; children: ReactNode }) => <span className={`state ${is}`}><span aria-hidden="true">{marks[is]}</span> {children}</span>;

export function Copy({ text, label }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  return <Button look="quiet" onClick={() => { void navigator.clipboard.writeText(text).then(() => { setDone(true); setTimeout(() => setDone(false), 2000); }); }}>{done ? t('Copied') : label ?? t('Copy')}</Button>;
}

/** A secret that is shown this once. */
export const Once = ({ label, value }: { label: string; value: string }) => (
  <div className="note wait"><p>{label}</p><div className="once"><code>{value}</code><Copy text={value} /></div></div>
);
