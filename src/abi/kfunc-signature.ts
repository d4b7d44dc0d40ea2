/** The prototypes of kfunc-prototypes.ts and own-kfuncs.ts as data: number of arguments, what each is, what its name's suffix says of it. */
import { kfuncPrototypes, kfuncStructs } from './kfunc-prototypes.ts';
import { kfuncHooks, type LinuxKfunc, linuxKfuncs } from './linux-kfuncs.ts';
import { ownKfuncs } from './own-kfuncs.ts';
import type { ProgramTypeName } from './program-types.ts';

export type KfuncType =
  | { readonly kind: 'void' | 'function' }
  /** Integers, bool, char and enums. Size in bytes. */
  | { readonly kind: 'scalar'; readonly name: string; readonly size: number; readonly signed: boolean }
  /** Unions too. Size 0 where it is not known. `scalars`: may be passed as plain memory. */
  | { readonly kind: 'struct'; readonly name: string; readonly size: number; readonly scalars: boolean }
  | { readonly kind: 'pointer'; readonly to: KfuncType; readonly constant: boolean; readonly arena: boolean };

export interface KfuncParameter {
  readonly name: string;
  /** What follows the last two underscores of the name, '' if nothing does: `sz`, `szk`, `k`, `ign`, `uninit`, `nullable`, `str`, … */
  readonly suffix: string;
  readonly type: KfuncType;
}

export interface KfuncSignature {
  readonly kfunc: LinuxKfunc;
  readonly returns: KfuncType;
  /** At most five. Arguments named `…__prog` are filled in by the kernel, and still take a register. */
  readonly params: readonly KfuncParameter[];
}

const suffixes = [
  'sz',
  'szk',
  'k',
  'ign',
  'uninit',
  'alloc',
  'refcounted_kptr',
  'nullable',
  'opt',
  'str',
  'const_str',
  'irq_flag',
  'map',
  'prog',
  'iter',
  'nonown_allowed',
];

const scalars: Readonly<Record<string, readonly [size: number, signed: boolean]>> = {
  s8: [1, true],
  u8: [1, false],
  char: [1, true],
  bool: [1, false],
  s16: [2, true],
  u16: [2, false],
  s32: [4, true],
  u32: [4, false],
  s64: [8, true],
  u64: [8, false],
};

function parseType(text: string): KfuncType {
  const trimmed = text.trim();
  if (trimmed.endsWith('*')) {
    const target = trimmed.slice(0, -1).trim();
    return {
      kind: 'pointer',
      to: parseType(target),
      constant: target.startsWith('const '),
      arena: target.includes('__arena '),
    };
  }
  const name = trimmed.replace(/^const /, '').replace(/^__arena /, '');
  if (name === 'void' || name === 'function') return { kind: name };
  const scalar = name.startsWith('enum ') ? ([4, false] as const) : scalars[name];
  if (scalar !== undefined) return { kind: 'scalar', name, size: scalar[0], signed: scalar[1] };
  const struct = name.replace(/^(struct|union) /, '');
  const [size, plain] = kfuncStructs[struct] ?? [0, false];
  return { kind: 'struct', name: struct, size, scalars: plain };
}

function parseParameter(text: string): KfuncParameter {
  const [, type = '', name = ''] = /^(.*?[\s*])(\w+)$/.exec(text.trim()) ?? [];
  const suffix = suffixes.filter((each) => name.endsWith(`__${each}`)).sort((a, b) => b.length - a.length)[0] ?? '';
  return { name, suffix, type: parseType(type) };
}

const known = new Map<string, KfuncSignature>();

/** Undefined for what neither Linux 6.18 nor Sluice has a kfunc of. */
export function kfuncSignature(name: string): KfuncSignature | undefined {
  const before = known.get(name);
  if (before !== undefined) return before;
  const own = ownKfuncs.get(name);
  const kfunc = linuxKfuncs.get(name) ?? own;
  const text = kfuncPrototypes[name] ?? own?.prototype;
  if (kfunc === undefined || text === undefined) return undefined;
  const open = text.indexOf('(');
  const params = text.slice(open + 1, -1);
  const signature = {
    kfunc,
    returns: parseType(text.slice(0, open)),
    params: params === '' ? [] : params.split(',').map(parseParameter),
  };
  known.set(name, signature);
  return signature;
}

/** Number of registers, from r1 on, that a call of the kfunc reads; undefined for an unknown name. */
export function kfuncArgumentCount(name: string): number | undefined {
  return kfuncSignature(name)?.params.length;
}

/** Whether programs of the type may call it (btf_kfunc_id_set_contains). */
export function kfuncAllowed(kfunc: LinuxKfunc, type: ProgramTypeName): boolean {
  return kfunc.hooks.some((hook) => {
    const types: 'all' | readonly ProgramTypeName[] = kfuncHooks[hook];
    return types === 'all' || types.includes(type);
  });
}
