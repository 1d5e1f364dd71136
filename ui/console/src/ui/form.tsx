// Draws any form of the catalog. It knows types of fields, and no method and no
// step by name.

import { createContext, useContext, useId, useState, type ReactNode } from 'react';
import type { Field as F, Form, Lint } from '../api/types.ts';
import { Button, Field } from './parts.tsx';
import { Refused, wrongAt } from './refused.ts';
import { said, t } from '../words/words.ts';
import { choiceOf } from './choices.ts';

export type Doc = Record<string, unknown>;

/** Draws a field in another way, such as an expression; null: as always. */
export type Widget = (f: F, value: unknown, set: (v: unknown) => void, path: string, ids: Record<string, unknown>) => ReactNode | null;
export type Choices = Partial<Record<'journey' | 'client' | 'attribute', (f: F) => [string, string][]>>;
export const Widgets = createContext<{ widget?: Widget; choices?: Choices }>({});

export type FormProps = {
  form: Form; value: Doc; onChange: (v: Doc) => void; problems?: Record<string, string>; lint?: Lint[]; at?: string;
  /** Where in what is sent the value stands: "settings." */
  root?: string;
  /** Where each value comes from, and how to take it from there again. */
  from?: Record<string, string>; inherit?: (name: string) => void; disabled?: boolean;
};

export function FormView({ form, value, onChange, problems = {}, lint = [], at = '', root = '', from, inherit, disabled }: FormProps) {
  const { problems: refused } = useContext(Refused);
  const fields = (list: Form) => list.map((f) => (
    <FieldView key={f.name} f={f} value={value[f.name]} set={(v) => { const next = { ...value }; if (v === undefined) delete next[f.name]; else next[f.name] = v; onChange(next); }}
      path={at + f.name} root={root} problems={problems} notes={lint.filter((l) => l.field === f.name)} disabled={disabled}
      origin={from?.[f.name]} inherit={from && inherit ? () => inherit(f.name) : undefined} />
  ));
  const groups = [...new Set(form.flatMap((f) => f.group ?? []))];
  const within = (path: string) => (p: string) => p === path || p.startsWith(`${path}.`);
  return (
    <div className="form">
      {fields(form.filter((f) => !f.group))}
      {groups.map((group, i) => {
        const list = form.filter((f) => f.group === group);
        const wrong = list.some((f) => Object.keys(problems).some(within(at + f.name)) || Object.keys(refused).some(within(root + at + f.name)));
        return <Part key={group} title={group} first={i < 2} wrong={wrong} set={list.filter((f) => given(value[f.name])).map((f) => f.label)}>{fields(list)}</Part>;
      })}
    </div>
  );
}

/** Whether a setting says anything. */
const given = (v: unknown) => v !== undefined && v !== null && v !== '' && v !== false && !(Array.isArray(v) && v.length === 0);

/** A group of a long form's fields. It begins open if it is one of the first or anything in it is set, and is while anything in it is wrong; shut, it names what is set. */
function Part({ title, set, first, wrong, children }: { title: string; set: string[]; first: boolean; wrong: boolean; children: ReactNode }) {
  const [open, setOpen] = useState(first || set.length > 0);
  return (
    <details className="part" open={open || wrong} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>{title}{!open && set.length > 0 && <span>{set.join(', ')}</span>}</summary>
      <div className="form">{children}</div>
    </details>
  );
}

const origins: Record<string, string> = { default: 'default', tenant: 'from the tenant', application: 'set here' };

/** A field that holds fields. */
const holds = (f: F) => f.type === 'list' || (f.type === 'object' && (f.fields?.length ?? 0) > 0);

function FieldView({ f, value, set, path, root, problems, notes, origin, inherit, disabled }: {
  f: F; value: unknown; set: (v: unknown) => void; path: string; root: string; problems: Record<string, string>; notes: Lint[]; origin?: string; inherit?: () => void; disabled?: boolean;
}) {
  const { widget, choices } = useContext(Widgets);
  const range = f.min !== undefined && f.max !== undefined && f.min !== null && f.max !== null && (f.type === 'number' || f.type === 'duration') ? (f.type === 'duration' ? t('{min} to {max} seconds.', { min: f.min, max: f.max }) : t('{min} to {max}.', { min: f.min, max: f.max })) : '';
  const marker = origin && (
    <span className="origin">{t(origins[origin] ?? origin)}{inherit && origin === 'application' && <Button look="quiet" onClick={inherit}>{t('Inherit')}</Button>}</span>
  );
  const lines = notes.length > 0 && <ul className="lint">{notes.map((n) => <li key={n.text}>{said(n.text)}{n.reference && <span> ({n.reference})</span>}</li>)}</ul>;
  return (
    <Field label={f.label || f.name} help={[range, f.help].filter(Boolean).join(' ') || undefined} problem={wrongAt(problems, path, !holds(f))} required={f.required} notes={lines} marker={marker} at={root + path} parts={holds(f)}>
      {(ids) => widget?.(f, value, set, path, ids) ?? <Control f={f} value={value} set={set} path={path} root={root} ids={ids} problems={problems} choices={choices} disabled={disabled} />}
    </Field>
  );
}

/** A choice in words, with its value small beside them where people know it by that. */
function Said({ f, choice }: { f: F; choice: string }) {
  const label = f.says?.find((s) => s.value === choice)?.label;
  return label === undefined ? <>{choice}</> : <span>{label}{f.named && <> <small>{choice}</small></>}</span>;
}

type ControlProps = { f: F; placeholder?: string; value: unknown; set: (v: unknown) => void; path: string; root?: string; ids: Record<string, unknown>; problems: Record<string, string>; choices?: Choices; disabled?: boolean };

/** The ids of a control for a group of them, which is described and not itself invalid. */
const ofGroup = ({ 'aria-invalid': _, ...ids }: Record<string, unknown>) => ids;

export function Control({ f, value, set, path, root = '', ids, problems, choices, disabled, placeholder }: ControlProps) {
  const text = (v: unknown) => (v === undefined || v === null ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v));
  const shown = value === undefined ? f.default : value;
  const listed = (f.type === 'journey' || f.type === 'client' || f.type === 'attribute') ? choices?.[f.type]?.(f) : undefined;
  switch (f.type) {
    case 'boolean':
      return <input {...ids} type="checkbox" className="check" disabled={disabled} checked={shown === true} onChange={(e) => set(e.target.checked)} />;
    case 'number': case 'duration':
      return <input {...ids} type="number" disabled={disabled} step={f.decimal ? 'any' : 1} min={f.min ?? undefined} max={f.max ?? undefined} value={text(shown)} onChange={(e) => set(e.target.value === '' ? undefined : Number(e.target.value))} />;
    case 'choice':
      return <select {...ids} disabled={disabled} value={text(shown)} onChange={(e) => set(e.target.value)}>{!f.required && !f.default && <option value="" />}{f.choices?.map((c) => <option key={c} value={c}>{choiceOf(f, c)}</option>)}</select>;
    case 'choices': {
      const list = Array.isArray(shown) ? shown as string[] : [];
      return <div {...ofGroup(ids)} role="group" aria-label={f.label} className="checks">{f.choices?.map((c) => <label key={c}><input type="checkbox" disabled={disabled} checked={list.includes(c)} onChange={(e) => set(e.target.checked ? [...list, c] : list.filter((x) => x !== c))} /> <Said f={f} choice={c} /></label>)}</div>;
    }
    case 'colour':
      return <span className="colour"><input type="color" aria-label={f.label} disabled={disabled} value={/^#[0-9a-f]{6}$/i.test(text(shown)) ? text(shown) : placeholder ?? '#3a4fd0'} onChange={(e) => set(e.target.value)} /><input {...ids} disabled={disabled} value={text(shown)} placeholder={placeholder ?? '#rrggbb'} onChange={(e) => set(e.target.value || undefined)} /></span>;
    case 'list':
      return <Rows f={f} value={Array.isArray(shown) ? shown : []} set={set} path={path} root={root} ids={ids} problems={problems} disabled={disabled} />;
    case 'object':
      return f.fields && f.fields.length > 0
        ? <div {...ofGroup(ids)} className="nested"><FormView form={f.fields} value={(shown ?? {}) as Doc} onChange={set} problems={problems} at={`${path}.`} root={root} disabled={disabled} /></div>
        : <Json ids={ids} value={shown} set={set} disabled={disabled} />;
    case 'secret': {
      const kept = typeof value === 'object' && value !== null && (value as { set?: boolean }).set === true;
      const same = { ...ids, disabled, placeholder: kept ? t('Stored. Type to replace it.') : '', value: kept ? '' : text(value), onChange: (e: { target: { value: string } }) => set(e.target.value === '' ? undefined : e.target.value) };
      // A line of input would lose the ends of the lines of a key that is pasted.
      return f.lines ? <textarea {...same} className="mono" rows={4} autoComplete="off" spellCheck={false} /> : <input {...same} type="password" autoComplete="new-password" />;
    }
    case 'expr':
      return <Json ids={ids} value={shown} set={set} disabled={disabled} />;
  }
  if (listed) return <select {...ids} disabled={disabled} value={text(shown)} onChange={(e) => set(e.target.value || undefined)}><option value="" />{listed.map(([v, label]) => <option key={v} value={v}>{label}</option>)}{shown !== undefined && shown !== '' && !listed.some(([v]) => v === shown) && <option value={text(shown)}>{text(shown)}</option>}</select>;
  const long = f.lines || text(shown).includes('\n');
  return long
    ? <textarea {...ids} rows={4} disabled={disabled} value={text(shown)} onChange={(e) => set(e.target.value || undefined)} />
    : <input {...ids} disabled={disabled} type={f.type === 'email' ? 'email' : f.type === 'phone' ? 'tel' : 'text'} value={text(shown)} maxLength={f.max_len || undefined} onChange={(e) => set(e.target.value || undefined)} />;
}

function Rows({ f, value, set, path, root = '', ids, problems, disabled }: Omit<ControlProps, 'value' | 'choices'> & { value: unknown[] }) {
  const plain = f.fields?.length === 1 && f.fields[0]!.name === '' ? f.fields[0]! : null;
  const replace = (i: number, v: unknown) => set(value.map((x, k) => (k === i ? v : x)));
  const { problems: refused } = useContext(Refused);
  const id = useId();
  const full = f.max !== undefined && f.max !== null && value.length >= f.max;
  return (
    <div {...ofGroup(ids)} role="group" aria-label={f.label} className="rows">
      {value.map((row, i) => {
        const at = `${path}.${i}`;
        const problem = problems[at] ?? refused[root + at];
        const about = problem ? { 'aria-describedby': `${id}${i}`, 'aria-invalid': true } : {};
        return (
          <div key={i} className="row" data-refused={refused[root + at] && root + at}>
            {plain
              ? <Control f={{ ...plain, label: `${f.label} ${i + 1}` }} value={row} set={(v) => replace(i, v ?? '')} path={at} ids={{ 'aria-label': `${f.label} ${i + 1}`, ...about }} problems={problems} disabled={disabled} />
              : <FormView form={f.fields ?? []} value={(row ?? {}) as Doc} onChange={(v) => replace(i, v)} problems={problems} at={`${at}.`} root={root} disabled={disabled} />}
            {!disabled && <Button look="quiet" aria-label={t('Remove row {row}', { row: i + 1 })} onClick={() => set(value.filter((_, k) => k !== i))}>✕</Button>}
            {problem && <p className="problem" id={`${id}${i}`}>{problem}</p>}
          </div>
        );
      })}
      {!full && !disabled && <Button onClick={() => set([...value, plain ? '' : {}])}>{t('Add')}</Button>}
    </div>
  );
}

function Json({ ids, value, set, disabled }: { ids: Record<string, unknown>; value: unknown; set: (v: unknown) => void; disabled?: boolean }) {
  return <textarea {...ids} rows={3} className="mono" disabled={disabled} defaultValue={value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, null, 1)} onBlur={(e) => {
    const raw = e.target.value.trim();
    if (raw === '') { set(undefined); return; }
    try { set(JSON.parse(raw)); } catch { set(raw); }
  }} />;
}
