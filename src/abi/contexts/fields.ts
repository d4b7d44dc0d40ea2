/** Rows of context tables, written once a struct: offsets and sizes of include/uapi/linux/bpf.h. */
import type { ContextField } from '../program-declaration.ts';

type FieldExtra = Partial<Omit<ContextField, 'name' | 'offset' | 'size'>>;

export function field(name: string, offset: number, size: number, extra: FieldExtra = {}): ContextField {
  return { write: false, kind: 'scalar', ...extra, name, offset, size };
}

/** A __u32 that is loaded whole. */
export function u32(name: string, offset: number, extra: FieldExtra = {}): ContextField {
  return field(name, offset, 4, extra);
}

/** A __u32 of which parts may be loaded, at any offset inside. */
export function narrowU32(name: string, offset: number, extra: FieldExtra = {}): ContextField {
  return field(name, offset, 4, { loads: [1, 2, 4], ...extra });
}

/** Four __u32: an IPv6 address. */
export function address6(name: string, offset: number, extra: FieldExtra = {}): ContextField {
  return field(name, offset, 16, { element: 4, ...extra });
}

/** Consecutive __u32, loaded whole. */
export function u32Run(offset: number, names: readonly string[]): ContextField[] {
  return names.map((name, at) => u32(name, offset + at * 4));
}

export type { FieldExtra };
